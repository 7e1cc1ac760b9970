using Isthmus.Core.Collections;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Http.H2;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Http;

/// <summary>Opens exchanges with hosts: on a kept connection where there is one, else on a new one.</summary>
internal sealed class HttpUpstreams(UpstreamConnector connector, TimeProvider time)
{
    /// <param name="fresh">A kept connection just failed: open a new one.</param>
    /// <exception cref="TransportException">The host could not be reached, or is not who it should be.</exception>
    /// <exception cref="OverflowException">The cluster has as many connections as it may have.</exception>
    public async ValueTask<UpstreamStream> OpenAsync(ClusterState cluster, Host host, int downstreamVersion, ValueMap<ValueList<string>> alpnOverride, bool fresh)
    {
        var isHttp2 = cluster.Config.Http switch
        {
            UpstreamHttp.Http2 => true,
            UpstreamHttp.AsDownstream => downstreamVersion == HttpVersions.Http2,
            _ => false,
        };
        var key = isHttp2 ? "HTTP2" : downstreamVersion == HttpVersions.Http10 ? "HTTP10" : "HTTP11";
        IReadOnlyList<string>? alpn = alpnOverride.TryGetValue(key, out var list) ? list : null;
        if (isHttp2) return await OpenHttp2Async(cluster, host, key, alpn, fresh).ConfigureAwait(false);
        if (!fresh && host.Pools.Take(key) is Http1Upstream kept)
        {
            kept.Begin();
            return kept;
        }
        var opened = new Http1Upstream(await ConnectAsync(cluster, host, alpn).ConfigureAwait(false), cluster, host, key, time);
        opened.Begin();
        return opened;
    }

    private async ValueTask<UpstreamStream> OpenHttp2Async(ClusterState cluster, Host host, string key, IReadOnlyList<string>? alpn, bool fresh)
    {
        if (!fresh && host.Pools.FindShared(key)?.TryOpen() is { } shared) return shared;
        // Many requests may need a connection at once: one opens it, the others wait and share it.
        await host.Pools.Opening.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!fresh && host.Pools.FindShared(key)?.TryOpen() is { } meanwhile) return meanwhile;
            var client = new H2Client(await ConnectAsync(cluster, host, alpn).ConfigureAwait(false), cluster, host, time);
            host.Pools.Share(key, client);
            return client.TryOpen() ?? throw new TransportException(TransportFailure.Reset, "the connection was closed");
        }
        finally
        {
            host.Pools.Opening.Release();
        }
    }

    private async ValueTask<Transport> ConnectAsync(ClusterState cluster, Host host, IReadOnlyList<string>? alpn)
    {
        if (!cluster.TryBeginConnection()) throw new OverflowException("max_connections");
        try
        {
            return await connector.ConnectAsync(cluster, host, alpn).ConfigureAwait(false);
        }
        catch
        {
            cluster.EndConnection();
            throw;
        }
    }
}
