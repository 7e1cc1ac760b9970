using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Processes;

namespace Isthmus.Lab.Nodes.Probes;

/// <summary>The result of one attempt.</summary>
internal readonly record struct ProbeResult(bool Success, string Message);

/// <summary>The container that a probe or hook runs against.</summary>
internal sealed record ProbeTarget(string PodIp, Container Container, ContainerProcess Process, ContainerIdentity Identity, bool CanSetGroups);

/// <summary>Performs probes and hooks from the node's network namespace, which is where this process runs.</summary>
internal sealed class ProbeRunner(Reactor reactor, TimeProvider time) : IDisposable
{
    private const int LongestMessage = 1024;

    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        PooledConnectionLifetime = TimeSpan.Zero,
        // A probe does not verify certificates, as in Kubernetes.
        SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true },
    })
    { Timeout = Timeout.InfiniteTimeSpan };

    internal Task<ProbeResult> RunAsync(Probe probe, ProbeTarget target, CancellationToken stop) =>
        LimitAsync(TimeSpan.FromSeconds(Math.Max(1, probe.TimeoutSeconds)), limited => probe switch
        {
            { Exec: { } exec } => ExecAsync(exec, target, limited),
            { HttpGet: { } http } => HttpAsync(http, target, limited),
            { TcpSocket: { } tcp } => TcpAsync(tcp, target, limited),
            { Grpc: { } grpc } => GrpcProbe.AskAsync(target.PodIp, grpc, limited),
            _ => Task.FromResult(new ProbeResult(true, "")),
        }, stop);

    /// <summary>Runs a hook once, within the remaining time.</summary>
    internal async Task<ProbeResult> RunAsync(LifecycleHandler hook, ProbeTarget target, TimeSpan limit, CancellationToken stop)
    {
        if (hook.Sleep is { } sleep)
        {
            await Task.Delay(TimeSpan.FromSeconds(sleep.Seconds), time, stop);
            return new(true, "");
        }
        return await LimitAsync(limit, async limited => hook switch
        {
            { Exec: { } exec } => await ExecAsync(exec, target, limited),
            // Any answer will do. As with a kubelet, the status does not matter.
            { HttpGet: { } http } => new(await GetAsync(http, target, limited) > 0, ""),
            { TcpSocket: not null } => new(false, "invalid handler: tcpSocket is not supported in lifecycle hooks"),
            _ => new(true, ""),
        }, stop);
    }

    public void Dispose() => _http.Dispose();

    private static async Task<ProbeResult> LimitAsync(TimeSpan limit, Func<CancellationToken, Task<ProbeResult>> run, CancellationToken stop)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(stop);
        timeout.CancelAfter(limit);
        try
        {
            return await run(timeout.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return new(false, $"timed out after {limit.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture)} s");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or InvalidDataException or UriFormatException or LaunchException)
        {
            return new(false, e.InnerException is { } inner ? $"{e.Message}: {inner.Message}" : e.Message);
        }
    }

    private async Task<ProbeResult> ExecAsync(ExecAction exec, ProbeTarget target, CancellationToken stop)
    {
        var (code, output) = await ContainerExec.RunAsync(reactor, target.Process, target.Identity, target.CanSetGroups, exec.Command, time, stop);
        return new(code == 0, Shorten(output));
    }

    private async Task<ProbeResult> HttpAsync(HttpGetAction get, ProbeTarget target, CancellationToken stop)
    {
        var code = await GetAsync(get, target, stop);
        return code is >= 200 and < 400 ? new(true, "") : new(false, $"HTTP probe failed with statuscode: {code}");
    }

    /// <summary>The status of the answer.</summary>
    private async Task<int> GetAsync(HttpGetAction get, ProbeTarget target, CancellationToken stop)
    {
        var host = get.Host.Length > 0 ? get.Host : target.PodIp;
        var scheme = get.Scheme.Equals("HTTPS", StringComparison.OrdinalIgnoreCase) ? "https" : "http";
        var path = get.Path.StartsWith('/') ? get.Path : "/" + get.Path;
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"{scheme}://{host}:{Port(get.Port, target.Container)}{path}"));
        request.Headers.TryAddWithoutValidation("User-Agent", "kube-probe/1.32");
        request.Headers.TryAddWithoutValidation("Accept", "*/*");
        request.Headers.ConnectionClose = true;
        foreach (var header in get.HttpHeaders)
        {
            if (header.Name.Equals("Host", StringComparison.OrdinalIgnoreCase)) request.Headers.Host = header.Value;
            else
            {
                request.Headers.Remove(header.Name);
                request.Headers.TryAddWithoutValidation(header.Name, header.Value);
            }
        }
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        return (int)response.StatusCode;
    }

    private static async Task<ProbeResult> TcpAsync(TcpSocketAction tcp, ProbeTarget target, CancellationToken stop)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(tcp.Host.Length > 0 ? tcp.Host : target.PodIp, Port(tcp.Port, target.Container), stop);
        return new(true, "");
    }

    /// <summary>A number, or the name of one of the container's ports.</summary>
    internal static int Port(JsonNode? port, Container container)
    {
        var text = port?.ToString() ?? "";
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= IPEndPoint.MaxPort) return number;
        return container.Ports.FirstOrDefault(one => one.Name == text)?.Number
            ?? throw new InvalidDataException($"port \"{text}\" is neither a number nor a port of container {container.Name}");
    }

    private static string Shorten(string text) => text.Length <= LongestMessage ? text.TrimEnd() : text[..LongestMessage];
}
