using System.Net;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

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

    /// <summary>Secrets and ConfigMaps that must be looked at.</summary>
    public HashSet<HolderRef> Holders { get; } = [];

    /// <summary>Pods of which the kubelet must have said why their readiness probe fails.</summary>
    public HashSet<PodRef> Checks { get; } = [];

    /// <summary>Proxies of which their control plane must say whether they have what it has for them.</summary>
    public HashSet<PodRef> Syncs { get; } = [];

    /// <summary>Addresses that must be looked up in the caller's cluster.</summary>
    public HashSet<IPAddress> Places { get; } = [];

    public bool IsEmpty => Proxies.Count == 0 && Namespaces.Count == 0 && Watches.Count == 0 && Holders.Count == 0 && Checks.Count == 0 && Syncs.Count == 0
        && Places.Count == 0;

    public DateTimeOffset Now => facts.Now;

    /// <summary>Why a Pod is not ready may be told by its events, and by its proxy.</summary>
    public void NeedCheck(ClusterObjects cluster, Pod pod)
    {
        var name = PodRef.Of(cluster, pod);
        if (cluster.FailedCheck(pod) is null) Checks.Add(name);
        if (ReadinessCheck.Of(pod) is null) return;
        if (ClusterObjects.Sidecar(pod) is not null && !facts.Proxies.ContainsKey(name) && !facts.Silent.ContainsKey(name)) Proxies.Add(name);
    }

    /// <summary>Where programs of a Pod listen, beside its proxy; null when nobody knows, or the one that is checked may still begin to.</summary>
    public IReadOnlyList<int>? Listening(ClusterObjects cluster, Pod pod)
    {
        if (facts.Proxies.GetValueOrDefault(PodRef.Of(cluster, pod))?.Listening is not { } all) return null;
        int[] ports = [.. all.Select(at => at.Port).Where(port => !Ports.IsOfProxy(port)).Distinct().Order()];
        return ReadinessCheck.HasStarted(cluster, pod, ports, facts.Now) ? ports : null;
    }

    /// <summary>What is known of a Secret or ConfigMap; null when it must be looked at first.</summary>
    public TracedHolder? Held(HolderRef holder)
    {
        if (facts.Holders.TryGetValue(holder, out var known)) return known;
        Holders.Add(holder);
        return null;
    }

    /// <summary>Whether a proxy has all that its control plane has for it; null when nobody can tell, or it must be asked first.</summary>
    public bool? Follows(PodRef proxy)
    {
        if (facts.Following.TryGetValue(proxy, out var known)) return known;
        Syncs.Add(proxy);
        return null;
    }

    /// <summary>What the caller's cluster says of an address; null when it must be asked first.</summary>
    public AddressPlace? Place(IPAddress address)
    {
        if (facts.Places.TryGetValue(address, out var known)) return known;
        Places.Add(address);
        return null;
    }

    public void NeedPods(string ns)
    {
        if (facts.Clusters.Any(cluster => cluster.Error.Length == 0 && !cluster.PodNamespaces.Contains(ns))) Namespaces.Add(ns);
    }
}
