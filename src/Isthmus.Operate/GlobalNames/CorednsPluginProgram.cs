using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Dns.Plugins;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Wire.Dns;
using Isthmus.Wire.Grpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Isthmus.Operate.GlobalNames;

/// <summary><c>isthmus coredns-plugin</c>: serves the addresses of the cluster's ServiceEntries to CoreDNS' plugin
/// <c>grpc</c> (istio-coredns-plugin).</summary>
public static class CorednsPluginProgram
{
    private static readonly Flag<IPEndPoint> Listen = new("--listen", "ADDRESS:PORT", new(IPAddress.Loopback, 8053),
        text => IPEndPoint.TryParse(text, out var endpoint) ? endpoint : throw new FormatException("expected ADDRESS:PORT"), "-listen");

    private static readonly Flag<IPAddress?> DefaultAddress = new("--default-address", "ADDRESS", null,
        text => IPAddress.TryParse(text, out var address) ? address : throw new FormatException("expected an IP address"), "-default-address");

    private static readonly FlagSet Flags = new("isthmus coredns-plugin", Listen, DefaultAddress);

    /// <summary>One second more than in istiocoredns' Corefile.</summary>
    private static readonly TimeSpan Lameduck = TimeSpan.FromSeconds(3);

    private static readonly ResourceKind ServiceEntries = MeshApi.ServiceEntry.In("v1beta1");

    /// <returns>0 when told to stop.</returns>
    /// <exception cref="WrongUseException">The command line is not valid.</exception>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var flags = Flags.Read(args);
        var (listen, byDefault) = (flags.Get(Listen), flags.Get(DefaultAddress));
        var access = KubeConfig.InCluster(Environment.GetEnvironmentVariable) ?? KubeConfig.Load(null, null, Environment.GetEnvironmentVariable);
        await using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        var time = TimeProvider.System;
        void Log(string line)
        {
            var stamp = time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
            // All threads share one writer.
            lock (output) output.WriteLine($"{stamp}\tinfo\t{line}");
        }
        var answers = new EntryAnswers(Log);
        using var client = new KubeClient(access, "istio-coredns-plugin");
        var informer = new Informer<JsonObject>(client, ServiceEntries, new InformerSettings(), time);
        var watching = WatchAsync(informer, answers, byDefault, Log, stop);
        // Answering before the entries are loaded would deny existing names, and resolvers cache denials.
        if (await Task.WhenAny(informer.Synced, watching) == watching)
        {
            await watching;
            return 0;
        }
        await using var app = Server(listen, answers);
        try
        {
            await app.StartAsync(stop);
        }
        catch (IOException e)
        {
            throw new ProblemException($"--listen {listen}", e.Message, "stop the program that listens there, or name another port", e);
        }
        Log($"Answering DnsService queries at {listen}");
        await watching;
        // CoreDNS next to it is stopped at the same moment, and keeps answering for its lameduck period.
        await Task.Delay(Lameduck, time, CancellationToken.None);
        await app.StopAsync(CancellationToken.None);
        return 0;
    }

    internal static WebApplication Server(IPEndPoint listen, EntryAnswers answers)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options => options.Listen(listen, endpoint => endpoint.Protocols = HttpProtocols.Http2));
        builder.WebHost.UseShutdownTimeout(TimeSpan.FromSeconds(1));
        var app = builder.Build();
        app.UseRouting();
        app.MapUnary(GrpcPlugin.Query, (_, packet) => Task.FromResult(Answer(answers, packet)), maxMessage: 2 * DnsMessage.MaxSize);
        return app;
    }

    private static BytesValue Answer(EntryAnswers answers, BytesValue packet)
    {
        if (DnsMessage.TryRead(packet.Value.Span) is not { } query) throw new GrpcException(GrpcCode.InvalidArgument, "the packet holds no DNS message");
        return new BytesValue { Value = ByteString.CopyFrom(answers.Answer(query).ToBytes()) };
    }

    private static async Task WatchAsync(Informer<JsonObject> informer, EntryAnswers answers, IPAddress? byDefault, Action<string> log, CancellationToken stop)
    {
        var entries = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        await informer.RunAsync(changes =>
        {
            foreach (var change in changes)
            {
                if (change.Object is { } entry) entries[change.Key] = entry;
                else entries.Remove(change.Key);
            }
            log($"Have {entries.Count} service entries");
            answers.Update(EntryTable.Of(entries.Values, byDefault));
            return ValueTask.CompletedTask;
        }, stop);
    }
}
