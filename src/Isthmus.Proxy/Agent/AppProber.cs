using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Isthmus.Core.Net;
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
            ConnectCallback = async (context, stop) => new NetworkStream(await ConnectAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, stop)
                .ConfigureAwait(false),
                ownsSocket: true),
            // The kubelet does not verify the application's certificate either.
            SslOptions = new SslClientAuthenticationOptions
            {
                CertificateChainPolicy = PeerChain.Unjudged(), RemoteCertificateValidationCallback = static (_, _, _, _) => true
            },
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

    /// <summary>Asks a path of the application for its metrics. Several may be asked at once, and copied one after another.</summary>
    public AppScrape Scrape(AppMetrics target, CancellationToken stop)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(AnswerTime);
        return new(AnswerAsync(), limit, AnswerTime);

        async Task<HttpResponseMessage> AnswerAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{Host("")}:{target.Port}{target.Path}");
            var answer = await _http.SendAsync(request, limit.Token).ConfigureAwait(false);
            // Its body may have to wait until that of another path is copied.
            limit.CancelAfter(Timeout.InfiniteTimeSpan);
            return answer;
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
