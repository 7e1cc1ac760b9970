using System.Text.RegularExpressions;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>The supported part of an EnvoyFilter: how gateways rewrite the names of clusters that they choose by SNI.</summary>
/// <param name="Selector">The workloads that it applies to; empty: all in its namespace, or in the mesh when it is in the
/// root namespace.</param>
public sealed record EnvoyFilter(ObjectRef Source, ValueMap<string> Selector, ValueList<SniRewrite> Rewrites, long CreatedAt)
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>The rewrites of a workload in the order of its filters: each patch inserts its filter directly after
    /// sni_cluster, so the newest comes first.</summary>
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
