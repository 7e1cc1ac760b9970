using Isthmus.Tests.Mesh.Faults;


namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>A workload that answers, and its cluster.</summary>
internal sealed record Answering(string Version, string Cluster);

/// <summary>A mesh file, with what a test must know about the mesh.</summary>
/// <param name="Template">The output of <c>isthmus mesh template</c>; empty when <paramref name="Text"/> is given.</param>
/// <param name="Gateways">Clusters that have an east-west gateway.</param>
internal sealed record Topology(string Name, string Template, string Text, string[] Clusters, ControlPlanePlace[] ControlPlanes, string[] Gateways,
    Answering[] Answering)
{
    private static readonly Answering[] InBoth = [new("in-cluster1", "cluster1"), new("in-cluster2", "cluster2")];

    internal static readonly Topology[] All =
    [
        new("multi-primary", "multi-primary", "", ["cluster1", "cluster2"], [new("cluster1"), new("cluster2")], [], InBoth),
        new("primary-remote", "primary-remote", "", ["cluster1", "cluster2"], [new("cluster1")], ["cluster1"], InBoth)
        {
            Primaries = new() { ["cluster2"] = [new("cluster1")] },
        },
        new("primary-remote-multi-network", "primary-remote-multi-network", "", ["cluster1", "cluster2"], [new("cluster1")], ["cluster1", "cluster2"], InBoth)
        {
            Primaries = new() { ["cluster2"] = [new("cluster1")] }, Networks = [["cluster1"], ["cluster2"]],
        },
        new("external-control-plane", "external-control-plane", "", ["cluster1", "cluster2"], [new("cluster1", "external-istiod")], ["cluster1"],
            [new("one", "cluster2"), new("two", "cluster2")])
        {
            Primaries = new() { ["cluster2"] = [new("cluster1", "external-istiod")] },
            Verified = ["--contexts", "cluster2", "--istioNamespace", "external-istiod"],
        },
        new("remote-of-two-primaries", "", """
            apiVersion: mesh.isthmus.internal/v1alpha1
            kind: Mesh
            metadata: {name: mesh1}
            spec:
              networks: [{name: north}, {name: south}]
              clusters:
              - {name: cluster1, network: north}
              - {name: cluster2, network: north}
              - {name: cluster3, network: south, primaries: [cluster1, cluster2]}
            """, ["cluster1", "cluster2", "cluster3"], [new("cluster1"), new("cluster2")], ["cluster1", "cluster2", "cluster3"], [.. InBoth, new("in-cluster3", "cluster3")])
        {
            Primaries = new() { ["cluster3"] = [new("cluster1"), new("cluster2")] }, Networks = [["cluster1", "cluster2"], ["cluster3"]],
        },
    ];

    /// <summary>Clusters without a control plane of their own, and those that serve them.</summary>
    internal Dictionary<string, ControlPlanePlace[]> Primaries { get; init; } = [];

    /// <summary>Clusters that reach each other's Pods without a gateway.</summary>
    internal string[][] Networks { get; init; } = [["cluster1", "cluster2"]];

    internal bool OneNetwork => Networks.Length == 1;

    internal IEnumerable<string> CallersElsewhere(string cluster) => Callers.Except(Networks.Single(clusters => clusters.Contains(cluster)));

    internal string[] Verified { get => field ?? ["--contexts", string.Join(',', Clusters)]; init; }

    /// <summary>Clusters with callers.</summary>
    internal string[] Callers => [.. Answering.Select(item => item.Cluster).Distinct()];

    internal string[] Versions => [.. Answering.Select(item => item.Version).Order(StringComparer.Ordinal)];

    internal string[] VersionsOutside(params string[] clusters) =>
        [.. Answering.Where(item => !clusters.Contains(item.Cluster)).Select(item => item.Version).Order(StringComparer.Ordinal)];

    /// <summary>The clusters whose control planes serve the proxies of a cluster.</summary>
    internal ControlPlanePlace[] Serving(string cluster) =>
        Primaries.TryGetValue(cluster, out var primaries) ? primaries : [.. ControlPlanes.Where(place => place.Cluster == cluster)];

    /// <summary>Control planes that watch a cluster with a remote secret. The control plane of a cluster that runs
    /// elsewhere treats it as its own.</summary>
    internal ControlPlanePlace[] Watching(string cluster) => [.. ControlPlanes.Where(place => place.Cluster != cluster && place.Namespace == "istio-system")];

    public override string ToString() => Name;
}
