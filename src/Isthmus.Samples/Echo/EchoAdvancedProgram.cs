using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Samples.EchoAdvanced;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Isthmus.Samples.Echo;

/// <summary>The server of Istio's test application (echo-advanced): it tells what arrived, in lines <c>Field=value</c>.</summary>
public sealed class EchoAdvancedProgram
{
    private const string Program = "echo-advanced";

    /// <summary>The name of the service in gRPC.</summary>
    internal static readonly GrpcMethod<EchoRequest, EchoResponse> Echo = new("proto.EchoTestService", "Echo", EchoRequest.Parser, EchoResponse.Parser);

    private readonly string _version;
    private readonly string _cluster;

    private EchoAdvancedProgram(EchoFlags flags) => (_version, _cluster) = (flags.Text("--version"), flags.Text("--cluster"));

    /// <exception cref="ProblemException">A flag is unknown or invalid, or a port is in use.</exception>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var flags = EchoFlags.Read(Program, args, ["--port", "--grpc", "--tcp", "--tls", "--version", "--cluster", "--crt", "--key"]);
        int[] http = flags.Ports("--port", 8080), grpc = flags.Ports("--grpc", 7070), tcp = flags.Ports("--tcp", 9090), tls = flags.Ports("--tls");
        if (tls.FirstOrDefault(port => !http.Contains(port) && !grpc.Contains(port)) is > 0 and var alone)
            throw new ProblemException(Program, $"--tls={alone}: no --port or --grpc has this number", "name the port there, too");
        var echo = new EchoAdvancedProgram(flags);
        var certificate = tls.Length == 0 ? null
            : File.Exists(flags.Text("--crt"))
            ? EchoTls.Read(Program, flags.Text("--crt"), flags.Text("--key"))
            : EchoTls.Make(TimeProvider.System.GetUtcNow());
        var app = EchoServers.Build(kestrel =>
        {
            foreach (var port in http.Concat(grpc))
            {
                kestrel.ListenAnyIP(port, listener =>
                {
                    listener.Protocols = grpc.Contains(port) ? HttpProtocols.Http2 : tls.Contains(port) ? HttpProtocols.Http1AndHttp2 : HttpProtocols.Http1;
                    if (tls.Contains(port)) listener.UseHttps(certificate!);
                });
            }
        });
        app.MapUnary(Echo, (call, request) => Task.FromResult(new EchoResponse { Message = echo.OfCall(call, request.Message) }));
        app.MapFallback("{**path}", (RequestDelegate)echo.AnswerAsync);
        var lines = tcp.Select(port => TcpService.RunAsync(Program, port, (socket, ended) => echo.ServeAsync(socket, port, ended), stop));
        await Task.WhenAll(lines.Prepend(EchoServers.RunAsync(Program, app, stop))).ConfigureAwait(false);
        return 0;
    }

    /// <summary><c>?delay=2s</c> waits before the answer, <c>?codes=503:1,200:1</c> chooses its status, <c>?headers=name:value</c> adds to it.</summary>
    private async Task AnswerAsync(HttpContext http)
    {
        var query = http.Request.Query;
        if (Durations.TryParse(query["delay"].ToString(), out var delay))
            await Task.Delay(delay, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var body = new StringBuilder();
        foreach (var pair in query["headers"].ToString().Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (pair.Split(':') is [var name, var value]) http.Response.Headers[name] = value;
            else body.Append(CultureInfo.InvariantCulture, $"response headers error: invalid \"{pair}\" (want name:value)\n");
        }
        http.Response.StatusCode = Code(query["codes"].ToString()) ?? 200;
        Write(body, http);
        http.Response.ContentType = "application/text";
        await http.Response.WriteAsync(body.ToString()).ConfigureAwait(false);
    }

    private void Write(StringBuilder body, HttpContext http)
    {
        var request = http.Request;
        Line(body, "ServiceVersion", _version);
        Line(body, "ServicePort", http.Connection.LocalPort.ToString(CultureInfo.InvariantCulture));
        Line(body, "Host", request.Host.Value ?? "");
        Line(body, "URL", EchoHeaders.Target(http));
        if (_cluster.Length > 0) Line(body, "Cluster", _cluster);
        Line(body, "Method", request.Method);
        Line(body, "Proto", EchoHeaders.Protocol(request));
        Line(body, "IP", http.Connection.RemoteIpAddress?.MapToIPv4().ToString() ?? "");
        if (TlsFacts.Of(http) is { } tls)
        {
            if (tls.Protocol.Length > 0) Line(body, "Alpn", tls.Protocol);
            if (tls.ServerName.Length > 0) Line(body, "Sni", tls.ServerName);
        }
        foreach (var (name, value) in EchoHeaders.Of(request)) Line(body, "RequestHeader", $"{name}:{value}");
        Line(body, "Hostname", Environment.MachineName);
    }

    private string OfCall(GrpcCall call, string message)
    {
        var body = new StringBuilder();
        Line(body, "Host", call.Http.Request.Host.Value ?? "");
        foreach (var (name, value) in EchoHeaders.Of(call.Http.Request)) Line(body, "RequestHeader", $"{name.ToLowerInvariant()}:{value}");
        Line(body, "StatusCode", "200");
        Line(body, "ServiceVersion", _version);
        Line(body, "ServicePort", call.Http.Connection.LocalPort.ToString(CultureInfo.InvariantCulture));
        if (_cluster.Length > 0) Line(body, "Cluster", _cluster);
        Line(body, "IP", call.Http.Connection.RemoteIpAddress?.MapToIPv4().ToString() ?? "");
        Line(body, "Proto", "GRPC");
        Line(body, "Echo", message);
        Line(body, "Hostname", Environment.MachineName);
        return body.ToString();
    }

    private async Task ServeAsync(Socket socket, int port, CancellationToken stop)
    {
        var buffer = new byte[4096];
        var isFirst = true;
        while (await socket.ReceiveAsync(buffer, stop).ConfigureAwait(false) is > 0 and var count)
        {
            if (isFirst)
            {
                var fields = new StringBuilder();
                Line(fields, "StatusCode", "200");
                if (_cluster.Length > 0) Line(fields, "Cluster", _cluster);
                Line(fields, "ServiceVersion", _version);
                Line(fields, "ServicePort", port.ToString(CultureInfo.InvariantCulture));
                Line(fields, "IP", ((System.Net.IPEndPoint)socket.RemoteEndPoint!).Address.MapToIPv4().ToString());
                Line(fields, "Proto", "TCP");
                Line(fields, "Hostname", Environment.MachineName);
                await socket.SendAsync(Encoding.UTF8.GetBytes(fields.ToString()), stop).ConfigureAwait(false);
            }
            isFirst = false;
            await socket.SendAsync(buffer.AsMemory(0, count), stop).ConfigureAwait(false);
        }
    }

    /// <summary>One of <c>CODE[:SHARE],…</c>; null if there is none.</summary>
    private static int? Code(string codes)
    {
        var choices = new List<(int Code, int Share)>();
        foreach (var choice in codes.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = choice.Split(':');
            if (int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code is >= 200 and < 600)
                choices.Add((code,
                    parts.Length > 1 && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var share) ? Math.Min(share, 1000) : 1));
        }
        var at = choices.Count == 0 ? 0 : new Random().Next(Math.Max(1, choices.Sum(choice => choice.Share)));
        foreach (var (code, share) in choices)
            if ((at -= share) < 0) return code;
        return null;
    }

    private static void Line(StringBuilder body, string field, string value) => body.Append(field).Append('=').Append(value).Append('\n');
}
