using System.Globalization;
using System.Text;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Upstreams;
using Isthmus.Wire.Rpc;

namespace Isthmus.Proxy.Health;

/// <summary>
/// Checks one host. The connections are its own: they count neither against the limits of the cluster nor as its traffic, but have the same
/// transport socket as those of requests.
/// </summary>
internal sealed class HostChecks(ClusterState cluster, Host host, HealthCheckSettings settings, HealthWays ways) : IDisposable
{
    private const int MostBytes = 64 * 1024;

    private Endpoint? _endpoint;
    private ClusterState? _own;
    private Transport? _kept;

    /// <summary>Makes one check.</summary>
    public async Task<CheckResult> CheckAsync()
    {
        var own = Own();
        var result = settings.Probe switch
        {
            HttpProbe http => await CheckAsync(http, own).ConfigureAwait(false),
            GrpcProbe grpc => await CheckAsync(grpc, own).ConfigureAwait(false),
            TcpProbe tcp => await CheckAsync(tcp, own).ConfigureAwait(false),
            _ => throw new InvalidOperationException("a check of an unknown kind"),
        };
        if (!settings.ReusesConnection) Close();
        return result;
    }

    public void Dispose()
    {
        Close();
        _own?.Retire();
    }

    /// <summary>A cluster with one host: the address that is checked.</summary>
    private ClusterState Own()
    {
        var endpoint = host.Endpoint with
        {
            Address = host.Endpoint.Check?.AddressOf(host.Address) ?? host.Address,
            TransportMatch = settings.SocketMatch ?? host.Endpoint.TransportMatch,
            Health = EndpointHealth.Healthy, Weight = 1, IsGateway = false,
        };
        if (_own is not null && endpoint == _endpoint) return _own;
        Dispose();
        _endpoint = endpoint;
        var config = cluster.Config;
        return _own = new(config with
        {
            Kind = ClusterKind.Static,
            Inline = new(config.Name, [new LocalityEndpoints("", "", "", 0, 0, [endpoint])]),
            Http = settings.Probe is GrpcProbe or HttpProbe { IsHttp2: true } ? UpstreamHttp.Http2 : UpstreamHttp.Http1,
            ConnectTimeout = settings.Timeout < config.ConnectTimeout ? settings.Timeout : config.ConnectTimeout,
            Limits = new(long.MaxValue, long.MaxValue, long.MaxValue, 0),
            MaxRequestsPerConnection = settings.ReusesConnection ? 0 : 1,
            MaxConnectionDuration = TimeSpan.Zero,
            Outlier = null, HealthCheck = null, SlowStart = null, DnsTargets = [],
        }, ways.Ports.Time, ways.Ports.Random);
    }

    private async ValueTask<CheckResult> CheckAsync(HttpProbe probe, ClusterState own)
    {
        var head = new RequestHead
        {
            Method = probe.Method, Version = probe.IsHttp2 ? HttpVersions.Http2 : HttpVersions.Http11, Authority = Authority(probe.Host), Scheme = Scheme(own)
        };
        head.SetTarget(Encoding.UTF8.GetBytes(probe.Path));
        if (probe.Method is "POST" or "PUT" or "PATCH" or "OPTIONS") head.ContentLength = probe.Body.Length;
        Edit(head, probe.Edits);
        var answer = await ways.Exchange.SendAsync(own, head, probe.Body, settings.Timeout, settings.Alpn).ConfigureAwait(false);
        if (answer.Failure != OwnFailure.None) return NoAnswer(answer.Failure);
        var status = answer.Head.Status;
        if (!probe.Expected.Any(range => range.Contains(status)))
            return new(probe.Retriable.Any(range => range.Contains(status)) ? CheckOutcome.Retriable : CheckOutcome.Refused, $"status {status}");
        var body = probe.SearchedBytes > 0 && answer.Body.Length > probe.SearchedBytes ? answer.Body[..probe.SearchedBytes] : answer.Body;
        if (!probe.Receive.IsIn(body.Span)) return new(CheckOutcome.Refused, "the body of the response does not contain what it must");
        if (probe.ServiceName is null) return CheckResult.Passed;
        Interlocked.Increment(ref cluster.Counters.Checks.VerifiedClusters);
        var name = answer.Head.Headers.GetString("x-envoy-upstream-healthchecked-cluster"u8) ?? "";
        return probe.ServiceName.IsMatch(name) ? CheckResult.Passed : new(CheckOutcome.Refused, $"the service is called '{name}'");
    }

    private async ValueTask<CheckResult> CheckAsync(GrpcProbe probe, ClusterState own)
    {
        var (head, body) = GrpcMessages.Request(Authority(probe.Authority), "/grpc.health.v1.Health/Check"u8, settings.Timeout,
            new HealthCheckRequest { Service = probe.Service });
        head.Scheme = Scheme(own);
        Edit(head, probe.Metadata);
        var answer = await ways.Exchange.SendAsync(own, head, body, settings.Timeout, settings.Alpn).ConfigureAwait(false);
        if (answer.Failure != OwnFailure.None) return NoAnswer(answer.Failure);
        if (GrpcMessages.Read(answer, HealthCheckResponse.Parser) is { } response)
            return response.Status == HealthCheckResponse.Types.ServingStatus.Serving
                ? CheckResult.Passed
                : new(CheckOutcome.Refused, $"the service says {response.Status}");
        return new(CheckOutcome.Refused,
            answer.Head.Status != 200
                ? $"status {answer.Head.Status}"
                : GrpcMessages.StatusOf(answer) is { } status
                ? $"gRPC status {status}"
                : "the answer is not one of gRPC");
    }

    private async ValueTask<CheckResult> CheckAsync(TcpProbe probe, ClusterState own)
    {
        var begun = ways.Ports.Time.GetTimestamp();
        if (_kept is { IsQuiet: false }) Close();
        var late = new Lateness();
        try
        {
            var transport = _kept ??= await ways.Connector
                .ConnectAsync(own, own.Hosts.All[0], new("", settings.Alpn, Exchanges: false, null), own.Config.ConnectTimeout).ConfigureAwait(false);
            if (probe.Send.IsEmpty && probe.Receive.IsEmpty) return Connected();
            var left = settings.Timeout - ways.Ports.Time.GetElapsedTime(begun);
            await using var timer = ways.Ports.Time.CreateTimer(_ => late.End(transport), null, left > TimeSpan.Zero ? left : TimeSpan.Zero,
                Timeout.InfiniteTimeSpan)
                .ConfigureAwait(false);
            if (!probe.Send.IsEmpty) await transport.WriteAsync(probe.Send).ConfigureAwait(false);
            // As in Envoy, nothing to receive means that the connection is the whole check.
            if (probe.Receive.IsEmpty) return Connected();
            var result = await ReceiveAsync(transport, probe.Receive).ConfigureAwait(false);
            if (!result.IsPassed) Close();
            return result;
        }
        catch (TransportException e)
        {
            Close();
            return late.HasCome || e.Failure == TransportFailure.TimedOut ? NoAnswer(OwnFailure.TimedOut) : new(CheckOutcome.NetworkFailure, e.Message);
        }
    }

    private CheckResult Connected()
    {
        Close();
        return CheckResult.Passed;
    }

    private static async ValueTask<CheckResult> ReceiveAsync(Transport transport, ByteSequence wanted)
    {
        var received = new MemoryStream();
        var buffer = new byte[4096];
        while (received.Length < MostBytes)
        {
            var count = await transport.ReadAsync(buffer).ConfigureAwait(false);
            if (count == 0) return new(CheckOutcome.NetworkFailure, "the connection ended before the answer");
            received.Write(buffer, 0, count);
            if (wanted.IsIn(received.GetBuffer().AsSpan(0, (int)received.Length))) return CheckResult.Passed;
        }
        return new(CheckOutcome.NetworkFailure, $"the answer is not in the first {MostBytes} bytes");
    }

    private CheckResult NoAnswer(OwnFailure failure) => failure switch
    {
        OwnFailure.TimedOut => new(CheckOutcome.TimedOut, $"no answer within {settings.Timeout.TotalSeconds.ToString(CultureInfo.InvariantCulture)}s"),
        OwnFailure.Malformed => new(CheckOutcome.NetworkFailure, "the answer is not HTTP"),
        _ => new(CheckOutcome.NetworkFailure, "no connection, or it ended before the answer"),
    };

    private string Authority(string configured) =>
        host.Endpoint.Check is { Hostname.Length: > 0 } check ? check.Hostname : configured.Length > 0 ? configured : cluster.Config.Name;

    private string Scheme(ClusterState own) => own.Config.TlsFor(_endpoint!) is null ? "http" : "https";

    private void Edit(RequestHead head, HeaderEdits edits)
    {
        head.Headers.Set("user-agent"u8, "Envoy/HC");
        HeaderEditing.Request(head, edits,
            new TrafficRecord { Request = head, Host = host, Cluster = cluster, ClusterName = cluster.Config.Name, Start = ways.Ports.Time.GetUtcNow() });
    }

    private void Close()
    {
        foreach (var own in _own?.Hosts.All ?? []) own.Kept?.CloseIdle();
        if (_kept is not { } kept) return;
        _kept = null;
        kept.Abort();
        UpstreamConnector.Release(_own!.Hosts.All[0]);
    }

    private sealed class Lateness
    {
        private volatile bool _hasCome;

        public bool HasCome => _hasCome;

        public void End(Transport transport)
        {
            _hasCome = true;
            transport.Abort();
        }
    }
}

/// <summary>What checks are made with.</summary>
internal sealed record HealthWays(OwnExchange Exchange, UpstreamConnector Connector, ProxyPorts Ports);
