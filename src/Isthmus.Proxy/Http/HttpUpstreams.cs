using Isthmus.Core.Collections;
using Isthmus.Proxy.Balancing;
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
        if (!fresh && host.Pools.Take(key) is Http1Upstream kept)
        {
            kept.Begin();
            return kept;
        }
        if (!cluster.TryBeginConnection()) throw new OverflowException("max_connections");
        try
        {
            var transport = await connector.ConnectAsync(cluster, host, alpn).ConfigureAwait(false);
            var opened = new Http1Upstream(transport, cluster, host, key, time);
            opened.Begin();
            return opened;
        }
        catch
        {
            cluster.EndConnection();
            throw;
        }
    }
}
