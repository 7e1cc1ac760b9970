using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>Settings that the proxies of some Pods get when they are injected (kind ProxyConfig).</summary>
/// <param name="Selector">The Pods that it applies to; empty: all in its namespace, or in the mesh when it is in the root namespace.</param>
/// <param name="Concurrency">How many CPUs a proxy uses; 0: all. Null: as the mesh says.</param>
public sealed record ProxyConfig(ObjectRef Source, ValueMap<string> Selector, int? Concurrency, ValueMap<string> Environment, long CreatedAt)
{
    public string Namespace => Source.Namespace;

    /// <summary>Those that apply to a Pod, the most general first; of several of one kind, the oldest is the last word.</summary>
    public static IEnumerable<ProxyConfig> For(IEnumerable<ProxyConfig> all, string rootNamespace, string ns, ValueMap<string> labels) => all
        .Where(config => (config.Namespace == ns || (config.Namespace == rootNamespace && config.Selector.Count == 0))
            && Selectors.Matches(config.Selector, labels))
        .OrderBy(config => config.Selector.Count > 0).ThenBy(config => config.Namespace != rootNamespace)
        .ThenByDescending(config => config.CreatedAt).ThenByDescending(config => config.Source);
}
