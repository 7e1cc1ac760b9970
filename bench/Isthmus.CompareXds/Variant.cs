namespace Isthmus.CompareXds;

/// <summary>How the inputs of a variant differ from those of its scenario: the files next to them, and what the recorder
/// changed during the recording.</summary>
internal sealed record Variant
{
    private const string EastWest = "istio-eastwestgateway";
    private const string Failover = "variant-locality-failover.both.yaml";
    private const string NodePorts = "variant-nodeport-gateway.cluster2.yaml";
    private const string HostName = "variant-hostname-gateway.cluster2.yaml";

    /// <summary>The Pod that the recorder added for the sequences of endpoint changes and kept for a while.</summary>
    private static string Added(string address) => $$"""
        apiVersion: v1
        kind: Pod
        metadata: {name: many-9, namespace: sample, labels: {app: many, security.istio.io/tlsMode: istio} }
        spec: {nodeName: node-a, containers: [{name: app, ports: [{containerPort: 8080}]}]}
        status: {phase: Running, podIP: {{address}}, podIPs: [{ip: {{address}}}], conditions: [{type: Ready, status: 'True'}]}
        """;

    /// <summary>The second cluster's only Node in use, moved to another region.</summary>
    private const string Elsewhere = """
        apiVersion: v1
        kind: Node
        metadata: {name: node-a, labels: {topology.kubernetes.io/region: region2, topology.kubernetes.io/zone: zone3} }
        """;

    private static readonly Variant None = new();
    private static readonly Variant Crowded = None with { Changes = [("cluster1", Added("10.10.2.99")), ("cluster2", Added("10.10.2.98"))] };
    private static readonly Variant Distant = None with { Files = [("cluster1", Failover), ("cluster2", Failover)], Changes = [("cluster2", Elsewhere)] };
    private static readonly (string, string[])[] Names = [("ew2.example.test", ["203.0.113.77", "203.0.113.78"])];

    public string MeshFile { get; init; } = "mesh.yaml";

    public string? NetworksFile { get; init; }

    /// <summary>The remote secret does not exist yet.</summary>
    public bool Alone { get; init; }

    /// <summary>The cluster whose istiod answered, if it was not the proxy's own.</summary>
    public string? ConfigCluster { get; init; }

    public (string Cluster, string File)[] Files { get; init; } = [];

    public (string Cluster, string Yaml)[] Changes { get; init; } = [];

    public (string Cluster, string Kind, string Name)[] Removed { get; init; } = [];

    public (string Cluster, string Service, string Address)[] Moved { get; init; } = [];

    public (string Host, string[] Addresses)[] Resolved { get; init; } = [];

    public static Variant Of(RecordedCase recorded) => recorded.Variant switch
    {
        "" when recorded.Name == "s3-multi-network/sleep-c1-delta" => Crowded with { Moved = [("cluster2", EastWest, "203.0.113.99")] },
        "before-remote-secrets" => None with { Alone = true },
        "variant-second-gateway" => Crowded with { Files = [("cluster2", "variant-second-gateway.cluster2.yaml")] },
        "variant-missing-gateway" => Crowded with { Removed = [("cluster2", "Service", EastWest)] },
        "variant-hostname-gateway" => Crowded with { Files = [("cluster2", HostName)], Resolved = Names },
        "variant-nodeport-gateway" => Crowded with { Files = [("cluster2", NodePorts)] },
        "variant-meshNetworks" => Crowded with { NetworksFile = "variant-meshNetworks.yaml", Resolved = Names },
        "variant-locality-failover" => Distant,
        "variant-registry-only-trust-alias" => Distant with { MeshFile = "mesh-registry-only-trust-alias.yaml" },
        "variant-clusterlocal" => Distant with { MeshFile = "mesh-clusterlocal.yaml" },
        "variant-clusterlocal/on-istiod1" => Distant with { MeshFile = "mesh-clusterlocal.yaml", ConfigCluster = "cluster1" },
        _ => None,
    };
}
