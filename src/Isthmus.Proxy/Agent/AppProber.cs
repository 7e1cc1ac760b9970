using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Isthmus.Proxy.Capture;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Rpc;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Agent;

/// <summary>Probes the application for the kubelet, bypassing the proxy, from Istio's passthrough address.</summary>
internal sealed class AppProber : IDisposable
{
    private static readonly GrpcMethod<HealthCheckRequest, HealthCheckResponse> Health = new(
        "grpc.health.v1.Health", "Check", HealthCheckRequest.Parser, HealthCheckResponse.Parser);

    // Traffic capture ignores traffic from this address (Istio).
    private static readonly IPAddress Passthrough = IPAddress.Parse("127.0.0.6");

    /// <summary>How long the application may take until its metrics begin, and between two pieces of them.</summary>
    public TimeSpan AnswerTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>No line of its metrics is longer.</summary>
    private const int PieceBytes = 256 * 1024;

    private readonly string _address;
    private readonly HttpMessageInvoker _http;

    /// <param name="address">The Pod's address.</param>
    public AppProber(string address)
    {
        _address = address;
        _http = new(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            // Each probe opens a new connection, as the kubelet does.
            PooledConnectionLifetime = TimeSpan.Zero,
            ConnectCallback = async (context, stop) => new NetworkStream(await ConnectAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, stop).ConfigureAwait(false), ownsSocket: true),
            // The kubelet does not verify the application's certificate either.
            SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = PeerChain.Unjudged(), RemoteCertificateValidationCallback = static (_, _, _, _) => true },
        });
    }

    /// <summary>The application's HTTP status, 200 for an open port or a serving gRPC service, 500 for a failure.</summary>
    public async ValueTask<(int Status, string Text)> ProbeAsync(AppProbe probe, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(probe.Timeout);
        try
        {
            return await CallAsync(probe, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return (500, $"no answer from port {probe.Port} within {probe.Timeout.TotalSeconds} s\n");
        }
        catch (Exception e) when (IsFailure(e))
        {
            return (500, $"port {probe.Port}: {e.Message}\n");
        }
    }

    /// <summary>Runs a hook. The result is the application's HTTP status, or 200 for an open port; null when the application does not answer.</summary>
    public async ValueTask<int?> RunHookAsync(AppProbe hook, CancellationToken stop)
    {
        try
        {
            return (await CallAsync(hook, stop).ConfigureAwait(false)).Status;
        }
        catch (Exception e) when (IsFailure(e))
        {
            return null;
        }
    }

    /// <summary>Copies the complete lines of what a path of the application answers; nothing unless the response is successful. A line that the
    /// application does not finish would spoil those before it.</summary>
    public async ValueTask CopyLinesAsync(int port, string path, Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(AnswerTime);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{Host("")}:{port}{path}");
        using var response = await OrNullAsync(_http.SendAsync(request, limit.Token), stop).ConfigureAwait(false);
        if (response is not { IsSuccessStatusCode: true } || await OrNullAsync(response.Content.ReadAsStreamAsync(limit.Token), stop).ConfigureAwait(false) is not { } body) return;
        var buffer = new byte[PieceBytes];
        for (var used = 0; used < buffer.Length;)
        {
            // The time of the application, not of the one who scrapes.
            limit.CancelAfter(AnswerTime);
            var read = await OrNullAsync(ReadAsync(body, buffer.AsMemory(used), limit.Token), stop).ConfigureAwait(false) ?? Failed;
            if (read.Count == 0)
            {
                if (read.IsComplete) await send(buffer.AsMemory(0, used)).ConfigureAwait(false);
                return;
            }
            var lines = buffer.AsSpan(used, read.Count).LastIndexOf((byte)'\n') is >= 0 and var at ? used + at + 1 : 0;
            used += read.Count;
            if (lines == 0) continue;
            await send(buffer.AsMemory(0, lines)).ConfigureAwait(false);
            buffer.AsSpan(lines, used - lines).CopyTo(buffer);
            used -= lines;
        }
    }

    private sealed record Piece(int Count, bool IsComplete);

    private static readonly Piece Failed = new(0, false);

    private static async Task<Piece> ReadAsync(Stream body, Memory<byte> into, CancellationToken stop) => new(await body.ReadAsync(into, stop).ConfigureAwait(false), true);

    private static async ValueTask<T?> OrNullAsync<T>(Task<T> asked, CancellationToken stop)
        where T : class
    {
        try
        {
            return await asked.ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException && !stop.IsCancellationRequested)
        {
            return null;
        }
    }

    public void Dispose() => _http.Dispose();

    private static bool IsFailure(Exception e) => e is HttpRequestException or SocketException or IOException or GrpcException;

    private ValueTask<(int Status, string Text)> CallAsync(AppProbe probe, CancellationToken stop) => probe.Kind switch
    {
        AppProbeKind.Tcp => TcpAsync(probe, stop),
        AppProbeKind.Grpc => GrpcAsync(probe, stop),
        _ => HttpAsync(probe, stop),
    };

    private async ValueTask<(int, string)> HttpAsync(AppProbe probe, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{(probe.Tls ? "https" : "http")}://{Host(probe.Host)}:{probe.Port}{probe.Path}");
        request.Headers.TryAddWithoutValidation("user-agent", "kube-probe/isthmus");
        foreach (var (name, value) in probe.Headers)
        {
            if (name.Equals("host", StringComparison.OrdinalIgnoreCase)) request.Headers.Host = value;
            else request.Headers.TryAddWithoutValidation(name, value);
        }
        using var response = await _http.SendAsync(request, stop).ConfigureAwait(false);
        return ((int)response.StatusCode, "");
    }

    private async ValueTask<(int, string)> TcpAsync(AppProbe probe, CancellationToken stop)
    {
        using var socket = await ConnectAsync(Host(probe.Host), probe.Port, stop).ConfigureAwait(false);
        return (200, "");
    }

    private async ValueTask<(int, string)> GrpcAsync(AppProbe probe, CancellationToken stop)
    {
        using var channel = new GrpcChannel(new(new Uri($"http://{Host("")}:{probe.Port}"))
        {
            Connect = async (server, token) => new NetworkStream(await ConnectAsync(server.Host, server.Port, token).ConfigureAwait(false), ownsSocket: true),
        });
        var answer = await channel.UnaryAsync(Health, new() { Service = probe.Path }, new(), stop).ConfigureAwait(false);
        return answer.Status == HealthCheckResponse.Types.ServingStatus.Serving ? (200, "") : (500, $"gRPC health is {answer.Status}\n");
    }

    private string Host(string host)
    {
        var name = host.Length == 0 || host == "localhost" ? _address : host;
        return name.Contains(':', StringComparison.Ordinal) ? $"[{name}]" : name;
    }

    private static async ValueTask<Socket> ConnectAsync(string host, int port, CancellationToken stop)
    {
        if (!IPAddress.TryParse(host.Trim('[', ']'), out var address)) throw new SocketException((int)SocketError.HostNotFound);
        var socket = MarkedSocket.Stream(address.AddressFamily);
        try
        {
            if (address.AddressFamily == AddressFamily.InterNetwork) socket.Bind(new IPEndPoint(Passthrough, 0));
            await socket.ConnectAsync(new IPEndPoint(address, port), stop).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
