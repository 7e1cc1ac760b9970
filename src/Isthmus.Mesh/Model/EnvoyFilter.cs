using System.Text.RegularExpressions;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>An EnvoyFilter, as far as it is acted on: how gateways rewrite the clusters that they choose by SNI.</summary>
/// <param name="Selector">The workloads it is for; empty: all of its namespace, or of the mesh in the root namespace.</param>
public sealed record EnvoyFilter(ObjectRef Source, ValueMap<string> Selector, ValueList<SniRewrite> Rewrites, long CreatedAt)
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>The rewrites of a workload in the order of its filters: each patch puts its filter directly behind sni_cluster, so that the newest comes first.</summary>
    public static ValueList<SniRewrite> RewritesFor(IEnumerable<EnvoyFilter> filters, string ns, string rootNamespace, ValueMap<string> labels) => filters
        .Where(filter => (filter.Namespace == ns || filter.Namespace == rootNamespace) && Selectors.Matches(filter.Selector, labels))
        .OrderBy(filter => filter.Namespace != rootNamespace).ThenBy(filter => filter.CreatedAt).ThenBy(filter => filter.Source)
        .SelectMany(filter => filter.Rewrites).Reverse().ToValueList();
}

/// <param name="Port">The listener's port; 0: every one.</param>
/// <param name="Pattern">A regular expression; every match in the cluster's name is replaced.</param>
public sealed record SniRewrite(int Port, string Pattern, string Replacement)
{
    public bool AppliesTo(int port) => Port == 0 || Port == port;

    public string Apply(string cluster) => Regex.Replace(cluster, Pattern, Replacement, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
}
