using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>Objects that have an effect on Envoys only.</summary>
public static class EnvoyOnly
{
    private const int MostNames = 3;

    /// <summary>A workload with a proxy.</summary>
    /// <param name="Name">How it is called.</param>
    /// <param name="IsServed">Whether its proxy takes what only Envoys take.</param>
    public readonly record struct Place(string Name, string Namespace, ValueMap<string> Labels, bool IsServed);

    /// <summary>The workloads that an object is for, which have to have Envoys; null if it is for any proxy.</summary>
    public static (ObjectRef Source, WorkloadSelector Selector)? Of(object? config) => config switch
    {
        WasmPlugin plugin => (plugin.Source, plugin.Selector),
        EnvoyFilter filter when filter.Patches.Any(patch => patch.IsForEnvoys) => (filter.Source, filter.Selector),
        _ => null,
    };

    /// <summary>Whether only an Envoy that an agent of Isthmus starts gets it, and not one of Istio's agents.</summary>
    public static bool NeedsOurAgent(object config) => config is EnvoyFilter filter && filter.Patches.Any(patch => patch.Target == PatchTarget.Bootstrap);

    /// <summary>The workloads that an object is for and that get nothing of it, counted and named; null if there are none.</summary>
    /// <param name="ns">The object's namespace.</param>
    public static string? Unserved(string ns, WorkloadSelector selector, string rootNamespace, IEnumerable<Place> places)
    {
        var unserved = places
            .Where(place => !place.IsServed && (place.Namespace == ns || (ns == rootNamespace && !selector.IsOfGateways)) && selector.Selects(place.Labels))
            .Select(place => place.Name).Distinct().Order(StringComparer.Ordinal).ToList();
        return unserved.Count == 0 ? null
            : $"{unserved.Count} {(unserved.Count == 1 ? "Pod gets" : "Pods get")} nothing of it, because the proxy is not such an Envoy: "
                + $"{string.Join(", ", unserved.Take(MostNames))}{(unserved.Count > MostNames ? ", …" : "")}";
    }

    /// <summary>The same for proxies that are connected, for admission.</summary>
    public static IEnumerable<Problem> Unserved(object? config, string rootNamespace, IEnumerable<ProxyIdentity> proxies)
    {
        if (Of(config) is not var (source, selector)) yield break;
        var places = proxies.Select(proxy => new Place(proxy.Id, proxy.Namespace, proxy.Labels,
            config is WasmPlugin ? proxy.Software.RunsWasm : proxy.Software.IsEnvoy));
        if (Unserved(source.Namespace, selector, rootNamespace, places) is { } message)
            yield return new("", $"{source.Kind} {source.Namespace}/{source.Name}", "spec", message, "set binaryPath for them, or select others",
                Severity.Warning);
    }
}
