using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Finds the proxies on the path of a call.</summary>
internal sealed class TracedProxies(TraceFacts facts, TraceNeeds needs, TraceRecord record)
{
    /// <summary>The proxy of a Pod; null when it must be fetched first, or when it does not respond (which is
    /// recorded).</summary>
    public ProxyView? View(PodRef pod, string hop)
    {
        if (facts.Proxies.TryGetValue(pod, out var view)) return view;
        if (facts.Silent.TryGetValue(pod, out var why)) record.Add(hop, HopStatus.Unknown, $"the proxy of {pod} does not respond: {why}", null);
        else needs.Proxies.Add(pod);
        return null;
    }
}
