using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Isthmus.Bench.Proxies;

/// <summary>gRPC calls through the proxy, between h2load and a Kestrel server.</summary>
internal static class GrpcBench
{
    private const int Messages = 100, MessageBytes = 100;

    /// <param name="before">The repository of another build to compare with. Null: other programs.</param>
    internal static async Task RunAsync(string root, string? before)
    {
        await using var rig = new ProxyRig(root);
        Console.WriteLine("gRPC over HTTP/2 by prior knowledge on both sides, 8 connections of 8 calls, messages of 100 bytes, status in trailers");
        var port = rig.NextPort();
        await rig.StartServerAsync(new("grpc-server", port, "dotnet", rig.Bench, "grpc-server", port.ToString(CultureInfo.InvariantCulture)));
        var wiring = new Wiring($"127.0.0.1:{port}") { Http2 = true };
        Contender[] contenders = before is null
            ? [await OwnProxy.StartAsync(rig, wiring), await Nghttpx.StartAsync(rig, wiring), await Haproxy.StartAsync(rig, wiring),
                await Nginx.StartAsync(rig, wiring), .. await Envoy.StartAsync(rig, wiring)]
            : await OwnProxy.StartBuildsAsync(rig, wiring, before, OwnProxy.StartAsync);
        var rounds = before is null ? 3 : Comparison.RoundsBeside(before);

        Console.WriteLine("unary: one message each way");
        var unary = await CompareAsync(rig, contenders, rounds, "calls", "One", 1);
        Console.WriteLine($"streams: one message there, {Messages} messages back, each sent as soon as it is made");
        var streams = await CompareAsync(rig, contenders, rounds, "messages", "Many", Messages);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"unary {unary:0.00}, streams {streams:0.00}; the ratio is the smaller one"));
        Comparison.Conclude(Math.Min(unary, streams));
    }

    /// <summary>Serves until the process ends.</summary>
    internal static async Task ServeAsync(int port)
    {
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "bench" });
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2));
        await using var app = builder.Build();
        app.UseRouting();
        app.MapPost("/bench.Messages/One", http => AnswerAsync(http, 1));
        app.MapPost("/bench.Messages/Many", http => AnswerAsync(http, Messages));
        app.UseEndpoints(_ => { });
        await app.RunAsync();
    }

    /// <param name="method">The name of a method of the server.</param>
    internal static Task<LoadResult> CallAsync(ProxyRig rig, Contender contender, string method, TimeSpan duration)
    {
        File.WriteAllBytes(rig.File("message"), Message);
        return WebLoad.Http2Async(contender.Port, $"/bench.Messages/{method}", 8, 8, duration, "-d", rig.File("message"), "-H",
            "content-type: application/grpc", "-H", "te: trailers");
    }

    private static Task<double> CompareAsync(ProxyRig rig, Contender[] contenders, int rounds, string unit, string method, int perCall) =>
        new Comparison(unit) { Rounds = rounds, WarmUp = TimeSpan.FromSeconds(1), Duration = TimeSpan.FromSeconds(1.5) }.RunAsync(contenders,
            async (contender, duration) =>
        {
            var calls = await CallAsync(rig, contender, method, duration);
            return calls with { Work = calls.Work * perCall };
        });

    private static async Task AnswerAsync(HttpContext http, int messages)
    {
        while (await http.Request.BodyReader.ReadAsync() is var read)
        {
            http.Request.BodyReader.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) break;
        }
        http.Response.ContentType = "application/grpc";
        for (var i = 0; i < messages; i++) await http.Response.BodyWriter.WriteAsync(Message);
        http.Response.AppendTrailer("grpc-status", "0");
    }

    /// <summary>A message with its prefix: not compressed, and its length.</summary>
    private static byte[] Message { get; } = Prefixed();

    private static byte[] Prefixed()
    {
        var bytes = new byte[5 + MessageBytes];
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(1), MessageBytes);
        return bytes;
    }
}
