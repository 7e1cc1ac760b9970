using System.Runtime.CompilerServices;
using Isthmus.Core.Collections;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Upstreams;

/// <summary>Opens exchanges with hosts: on an idle connection if there is one, else on a new one.</summary>
internal sealed class HttpUpstreams(UpstreamConnector connector, BackgroundTasks background, TimeProvider time, Random random)
{
    private static readonly string[] Http1Alpn = ["http/1.1"], Http2Alpn = ["h2"];

    private static readonly TimeSpan GatewayTurn = TimeSpan.FromSeconds(30);

    /// <summary>Exchanges that no request waits for, and the readers of shared connections.</summary>
    public BackgroundTasks Background => background;

    /// <param name="fresh">A reused connection just failed: open a new one.</param>
    /// <param name="patience">How long the host may take to accept a new connection.</param>
    /// <exception cref="TransportException">The host could not be reached, or its identity is wrong.</exception>
    /// <param name="request">Names the host, because connections that verify it serve no other, and is notified when it has to wait for a connection because
    /// the cluster is at its limit.</param>
    /// <exception cref="OverflowException">The cluster is at its connection limit, and so is the queue.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<UpstreamStream> OpenAsync(ClusterState cluster, Host host, int downstreamVersion, ValueMap<ValueList<string>> alpnOverride,
        bool fresh, TimeSpan patience, IQueueing request)
    {
        var isHttp2 = IsHttp2(cluster, downstreamVersion);
        var kind = isHttp2 ? PoolKind.Http2 : downstreamVersion == HttpVersions.Http10 ? PoolKind.Http10 : PoolKind.Http11;
        var alpn = cluster.Config.KeepsAlpn ? Spoken(cluster.Config, kind) : alpnOverride.TryGetValue(PoolKey.NameOf(kind), out var list) ? list : null;
        var (authority, carried) = (cluster.Config.NamesByRequest ? request.Authority : "", cluster.Config.TellsClients ? request.Carried : null);
        var passed = cluster.Config.PassesCallers ? request.Passed : FilterState.Empty;
        var key = new PoolKey(kind, Turn(host), carried is null && passed.IsEmpty ? authority : $"{authority} {carried} {passed.Text}");
        var way = new Way(authority, carried, alpn, fresh, patience, request);
        return isHttp2 ? await OpenHttp2Async(cluster, host, key, way).ConfigureAwait(false)
            : await OpenHttp1Async(cluster, host, key, way).ConfigureAwait(false);
    }

    /// <summary>Where each client decides the version of HTTP, the cluster's TLS cannot name it; null: the cluster's own protocols.</summary>
    private static IReadOnlyList<string>? Spoken(ClusterSnapshot config, PoolKind kind) =>
        config.Http != UpstreamHttp.AsDownstream ? null : kind == PoolKind.Http2 ? Http2Alpn : Http1Alpn;

    /// <summary>Opens a connection for the bytes of a tunnel that ends here.</summary>
    /// <param name="patience">How long the host may take to accept it.</param>
    /// <exception cref="TransportException">The host could not be reached, or its identity is wrong.</exception>
    /// <exception cref="OverflowException">The cluster is at its connection limit.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<UpstreamStream> OpenTcpAsync(ClusterState cluster, Host host, ConnectSettings settings, TimeSpan patience, IQueueing request)
    {
        if (!cluster.TryBeginConnection()) throw new OverflowException("max_connections");
        try
        {
            var authority = cluster.Config.NamesByRequest ? request.Authority : "";
            var carried = cluster.Config.TellsClients || settings.ProxyHeader is not null ? request.Carried : null;
            var transport = await connector.ConnectAsync(cluster, host, new(authority, null, Exchanges: false, carried) { Passed = request.Passed }, patience)
                .ConfigureAwait(false);
            return new TcpUpstream(transport, cluster, host, settings.ProxyHeader is { } version ? ProxyHeader.Write(version, carried) : default);
        }
        catch
        {
            cluster.EndConnection();
            throw;
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<UpstreamStream> OpenHttp1Async(ClusterState cluster, Host host, PoolKey key, Way way)
    {
        var upstream = way.Fresh ? null : ConnectionPools.Of(host).Take(key) as Http1Upstream;
        upstream ??= await AwaitHttp1Async(cluster, host, key, way).ConfigureAwait(false);
        upstream.Begin();
        return upstream;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<Http1Upstream> AwaitHttp1Async(ClusterState cluster, Host host, PoolKey key, Way way)
    {
        if (!cluster.TryBeginPending()) throw new OverflowException("max_pending_requests");
        try
        {
            if (ConnectionPools.Of(host).Queue(key).Enter(cluster, key.Purpose, out var kept) is { } place)
            {
                way.Request.OnQueued(place);
                kept = await place.Served.ConfigureAwait(false);
            }
            return (Http1Upstream?)kept
                ?? new Http1Upstream(await ConnectReservedAsync(cluster, host, key, way).ConfigureAwait(false), cluster, host, key, time,
                    ExpiresAt(cluster, host));
        }
        finally
        {
            cluster.EndPending();
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<Transport> ConnectReservedAsync(ClusterState cluster, Host host, PoolKey key, Way way)
    {
        var isSettled = false;
        try
        {
            var transport = await connector.ConnectAsync(cluster, host, way.Purpose, way.Patience).ConfigureAwait(false);
            isSettled = true;
            return transport;
        }
        catch (TransportException e)
        {
            isSettled = true;
            ConnectionPools.Of(host).Queue(key).ConnectFailed(cluster, e);
            throw;
        }
        finally
        {
            if (!isSettled) ConnectionPools.Of(host).Queue(key).Closed(cluster);
        }
    }

    /// <summary>Whether requests to the cluster share connections.</summary>
    public static bool IsHttp2(ClusterState cluster, int downstreamVersion) => cluster.Config.Http switch
    {
        UpstreamHttp.Http2 => true,
        UpstreamHttp.AsDownstream => downstreamVersion == HttpVersions.Http2,
        _ => false,
    };

    /// <summary>
    /// A gateway of weight N represents N workloads and chooses one per connection, not per request:
    /// so requests rotate over several connections.
    /// </summary>
    private static int Turn(Host host)
    {
        var connections = host.Endpoint.IsGateway ? Math.Clamp(host.Endpoint.Weight, 1, PoolKey.MostTurns) : 1;
        return connections == 1 ? 0 : ConnectionPools.Of(host).NextTurn() % connections;
    }

    /// <summary>
    /// A gateway's choice lasts as long as the connection: without a maximum age, workloads that start or
    /// return would get nothing from busy callers. Ages differ, so that connections do not all choose again at once.
    /// </summary>
    private long ExpiresAt(ClusterState cluster, Host host)
    {
        var age = cluster.Config.MaxConnectionDuration > TimeSpan.Zero ? cluster.Config.MaxConnectionDuration : TimeSpan.MaxValue;
        if (host.Endpoint is { IsGateway: true, Weight: > 1 } && GatewayTurn * (0.75 + random.NextDouble() / 2) is var turn && turn < age) age = turn;
        return age == TimeSpan.MaxValue ? long.MaxValue : time.GetTimestamp() + (long)(age.TotalSeconds * time.TimestampFrequency);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<UpstreamStream> OpenHttp2Async(ClusterState cluster, Host host, PoolKey key, Way way)
    {
        if (!way.Fresh && ConnectionPools.Of(host).FindShared(key)?.TryOpen() is { } shared) return shared;
        // Many requests may need a connection at once: one opens it, the others wait and share it, or share its failure when they can go
        // elsewhere: otherwise they would wait for one timeout after another.
        var asked = time.GetTimestamp();
        await ConnectionPools.Of(host).Opening.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!way.Fresh && ConnectionPools.Of(host).FindShared(key)?.TryOpen() is { } meanwhile) return meanwhile;
            if (way.Patience < cluster.Config.ConnectTimeout && ConnectionPools.Of(host).Failed is { } failed && failed.At >= asked
                && failed.Purpose == key.Purpose)
                throw new TransportException(failed.Reason.Failure, failed.Reason.Message);
            var transport = await ConnectSharedAsync(cluster, host, key.Purpose, way).ConfigureAwait(false);
            var client = new H2Client(transport, cluster, host, time, ExpiresAt(cluster, host), background, random);
            ConnectionPools.Of(host).Share(key, client);
            return client.TryOpen() ?? throw new TransportException(TransportFailure.Reset, "the connection was closed");
        }
        // At the connection limit, any existing connection to that host name will do.
        catch (OverflowException) when (key.AllTurns().Select(turn => ConnectionPools.Of(host).FindSharedAnywhere(turn)?.TryOpen())
            .FirstOrDefault(stream => stream is not null) is { } other)
        {
            return other;
        }
        finally
        {
            ConnectionPools.Of(host).Opening.Release();
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<Transport> ConnectSharedAsync(ClusterState cluster, Host host, string purpose, Way way)
    {
        try
        {
            return await ConnectAsync(cluster, host, way).ConfigureAwait(false);
        }
        catch (TransportException e)
        {
            ConnectionPools.Of(host).Failed = (time.GetTimestamp(), purpose, e);
            throw;
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<Transport> ConnectAsync(ClusterState cluster, Host host, Way way)
    {
        // As with HTTP/1.1, a host without any connection gets one, and an idle connection for another host name makes room.
        if (!cluster.TryBeginConnection()
            && ((!ConnectionPools.Of(host).CloseIdleNamedShared() && ConnectionPools.Of(host).HasShared) || !cluster.TryTakeConnection(isFirst: true)))
            throw new OverflowException("max_connections");
        try
        {
            return await connector.ConnectAsync(cluster, host, way.Purpose, way.Patience).ConfigureAwait(false);
        }
        catch
        {
            cluster.EndConnection();
            throw;
        }
    }

    /// <summary>What kind of connection to open; see <see cref="OpenAsync"/>.</summary>
    private readonly record struct Way(string Authority, ProxiedConnection? Carried, IReadOnlyList<string>? Alpn, bool Fresh, TimeSpan Patience,
        IQueueing Request)
    {
        public ConnectPurpose Purpose => new(Authority, Alpn, Exchanges: false, Carried) { Passed = Request.Passed };
    }
}
