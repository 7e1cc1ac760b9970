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
    /// <param name="way">How the caller's proxy talks to it; null without one, which writes no header.</param>
    public static bool Pass(TraceRecord record, TraceCauses causes, EndpointWay? way, ListenerView listener, ClusterObjects cluster, Pod pod)
    {
        var isWritten = way is { Endpoint.GetsProxyHeader: true };
        return isWritten && !listener.ReadsProxyHeader
            ? record.Fail("connection", "begins with a header of the PROXY protocol", causes.Headers.Unread(way!.DestinationRule, PodRef.Of(cluster, pod)))
            : isWritten || !listener.DemandsProxyHeader || record.Fail("connection", "begins without a header of the PROXY protocol",
                causes.Headers.Demanded(cluster, pod, "proxies of the mesh write none"));
    }
}
