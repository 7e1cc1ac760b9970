using System.Text.RegularExpressions;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>An EnvoyFilter: changes of the resources that proxies get.</summary>
/// <param name="Selector">The workloads that it applies to; empty: all in its namespace, or in the mesh when it is in the
/// root namespace.</param>
/// <param name="Rewrites">How gateways rewrite the names of clusters that they choose by SNI. Which clusters a gateway needs depends on them,
/// so they are not among the patches.</param>
public sealed record EnvoyFilter(ObjectRef Source, WorkloadSelector Selector, ValueList<SniRewrite> Rewrites, long CreatedAt) : IWorkloadPolicy
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>Filters with a lower priority change resources first.</summary>
    public int Priority { get; init; }

    public ValueList<EnvoyPatch> Patches { get; init; }

    /// <summary>The rewrites of a workload in the order of its filters: each patch inserts its filter directly after
    /// sni_cluster, so the newest comes first.</summary>
    public static ValueList<SniRewrite> RewritesFor(IEnumerable<EnvoyFilter> filters, string ns, string rootNamespace, ValueMap<string> labels) =>
        InOrder(filters, ns, rootNamespace, labels).SelectMany(filter => filter.Rewrites).Reverse().ToValueList();

    /// <summary>The patches for a proxy, in the order in which they apply.</summary>
    public static ValueList<EnvoyPatch> PatchesFor(IEnumerable<EnvoyFilter> filters, ProxyIdentity proxy, string rootNamespace, ValueMap<string> labels) =>
        InOrder(filters, proxy.Namespace, rootNamespace, labels).SelectMany(filter => filter.Patches)
            .Where(patch => patch.Proxy.Matches(proxy) && (!patch.IsForEnvoys || proxy.Software.IsEnvoy)).ToValueList();

    private static IEnumerable<EnvoyFilter> InOrder(IEnumerable<EnvoyFilter> filters, string ns, string rootNamespace, ValueMap<string> labels) => filters
        .Where(filter => filter.AppliesTo(ns, rootNamespace, labels))
        .OrderBy(filter => filter.Priority).ThenBy(filter => filter.Namespace != rootNamespace).ThenBy(filter => filter.CreatedAt)
        .ThenBy(filter => filter.Source);
}

/// <param name="Port">The listener's port; 0: every one.</param>
/// <param name="Pattern">A regular expression; every match in the cluster's name is replaced.</param>
public sealed record SniRewrite(int Port, string Pattern, string Replacement)
{
    public bool AppliesTo(int port) => Port == 0 || Port == port;

    public string Apply(string cluster) => Regex.Replace(cluster, Pattern, Replacement, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
}
