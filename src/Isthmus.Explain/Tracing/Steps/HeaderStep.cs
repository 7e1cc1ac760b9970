using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks that the two ends of a connection agree on whether it begins with a header of the PROXY protocol.</summary>
internal static class HeaderStep
{
    /// <summary>Whether the other end can read how the connection begins.</summary>
    /// <param name="way">How the caller's proxy talks to it; null without one.</param>
    public static bool Pass(TraceRecord record, TraceCauses causes, TracedCall call, EndpointWay? way, ListenerView listener, ClusterObjects cluster, Pod pod)
    {
        if (way is { Endpoint.GetsProxyHeader: true })
            return listener.ReadsProxyHeader || record.Fail("connection", "begins with a header of the PROXY protocol",
                causes.Headers.Unread(way.DestinationRule, PodRef.Of(cluster, pod)));
        if (!listener.DemandsProxyHeader) return true;
        if (way is not null && (call.IsPlainHttp || way.Tls is not null))
            return record.Fail("connection", "begins without a header of the PROXY protocol",
                causes.Headers.Demanded(cluster, pod, "proxies of the mesh write none"));
        // What an application writes first, nobody knows here.
        record.Warn("connection", "must begin with a header of the PROXY protocol",
            causes.Headers.Demanded(cluster, pod, "only the application of the caller could write one"));
        return true;
    }
}
