using System.Runtime.CompilerServices;
using System.Text;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Upstreams;

/// <summary>A tunnel through a host that is a proxy.</summary>
internal sealed record HttpTunnel(Transport Bytes, UpstreamStream Stream);

/// <summary>Asks hosts that are proxies for tunnels, with CONNECT or POST, over the version of HTTP of their cluster.</summary>
internal sealed class HttpTunnels(HttpUpstreams upstreams, TimeProvider time)
{
    /// <param name="patience">How long the host may take to accept a connection.</param>
    /// <param name="record">The connection that the tunnel is for.</param>
    /// <exception cref="TransportException">The host could not be reached, or refuses.</exception>
    public async ValueTask<HttpTunnel> OpenAsync(ClusterState cluster, Host host, TunnelSettings settings, TimeSpan patience, TrafficRecord record)
    {
        UpstreamStream? stream = null;
        try
        {
            var request = Request(settings, record);
            using var deadline = new QueueDeadline(time, patience, request.Authority) { Passed = record.State.Shared };
            // A tunnel over HTTP/1.1 takes its connection with it: one that was kept might be closed just now.
            var isFresh = !HttpUpstreams.IsHttp2(cluster, request.Version);
            stream = await upstreams.OpenAsync(cluster, host, request.Version, default, isFresh, patience, deadline).ConfigureAwait(false);
            var opened = stream;
            // An answer takes a connection of the proxy behind it.
            using var limit = time.CreateTimer(_ => opened.Abort(), null, cluster.Config.ConnectTimeout, Timeout.InfiniteTimeSpan);
            await stream.SendHeadAsync(request).ConfigureAwait(false);
            await stream.FlushAsync().ConfigureAwait(false);
            var response = new ResponseHead();
            await stream.ReceiveHeadAsync(response).ConfigureAwait(false);
            if (response.Status is not (>= 200 and < 300))
                throw new TransportException(TransportFailure.Unreachable, $"the proxy answers {response.Status} to {request.Method} {request.Authority}");
            return new(settings.UsesPost ? new BodyTransport(stream) : stream.TakeOver(), stream);
        }
        catch (HttpMessageException e)
        {
            Drop(stream);
            throw new TransportException(TransportFailure.Unreachable, $"the proxy breaks the protocol: {e.Detail}", e);
        }
        catch (OverflowException e)
        {
            throw new TransportException(TransportFailure.Unreachable, $"overflow: {e.Message}", e);
        }
        catch
        {
            Drop(stream);
            throw;
        }
    }

    private static void Drop(UpstreamStream? stream)
    {
        stream?.Abort();
        stream?.Release();
    }

    private static RequestHead Request(TunnelSettings settings, TrafficRecord record)
    {
        var request = new RequestHead { Method = settings.UsesPost ? "POST" : "CONNECT", Version = HttpVersions.Http11, KeepAlive = true };
        request.SetAuthority(settings.Format?.Bytes(record) ?? Encoding.UTF8.GetBytes(settings.Hostname));
        if (!settings.UsesPost && !HeadRules.IsTunnelEnd(Encoding.UTF8.GetBytes(request.Authority)))
            throw new TransportException(TransportFailure.Unreachable, $"tunneling_config.hostname gives '{request.Authority}', which is not HOST:PORT");
        if (settings.UsesPost) (request.Body, request.Scheme) = (BodyKind.Stream, "http");
        if (settings.UsesPost) request.SetTarget(Encoding.UTF8.GetBytes(settings.PostPath));
        HeaderEditing.Request(request, settings.Edits, record);
        return request;
    }
}
