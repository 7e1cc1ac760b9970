using Isthmus.Explain.Tracing.Reading;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>What a walk lacks. It is fetched, and then the call is walked again.</summary>
internal sealed class TraceNeeds(TraceFacts facts)
{
    /// <summary>Proxies whose configuration is needed.</summary>
    public HashSet<PodRef> Proxies { get; } = [];

    /// <summary>Namespaces whose Pods are needed.</summary>
    public HashSet<string> Namespaces { get; } = new(StringComparer.Ordinal);

    /// <summary>Contexts of clusters whose control planes must report what they watch.</summary>
    public HashSet<string> Watches { get; } = new(StringComparer.Ordinal);

    public bool IsEmpty => Proxies.Count == 0 && Namespaces.Count == 0 && Watches.Count == 0;

    public void NeedPods(string ns)
    {
        if (facts.Clusters.Any(cluster => cluster.Error.Length == 0 && !cluster.PodNamespaces.Contains(ns))) Namespaces.Add(ns);
    }
}
