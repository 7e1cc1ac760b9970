using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;

namespace Isthmus.Operate.MeshFile;

/// <summary>A mesh as described in one file (<c>kind: Mesh</c>): <see cref="MeshReader"/> reads and validates it.</summary>
/// <param name="Source">The file's name, for messages.</param>
/// <param name="Name">The mesh ID.</param>
/// <param name="Revision">The revision of every control plane; empty for the default one.</param>
/// <param name="Join">How clusters discover each other's services.</param>
/// <param name="Install">Fields of an IstioOperator spec for every control plane.</param>
/// <param name="InstallsGatewayApi">Whether clusters with configuration get the definitions of the Gateway API.</param>
public sealed record MeshSpec(
    string Source, string Name, string Revision, JoinKind Join, TrustSpec Trust, ValueList<NetworkSpec> Networks, ValueList<ClusterSpec> Clusters,
    JsonObject Install, bool InstallsGatewayApi = false)
{
    public const string ApiVersion = $"mesh.{WellKnown.OwnDomain}/v1alpha1";
    public const string Kind = "Mesh";

    /// <summary>The <see cref="Source"/> of a file without a name (<c>-f -</c>).</summary>
    public const string StandardInput = "standard input";

    public NetworkSpec NetworkOf(ClusterSpec cluster) => Networks.First(network => network.Name == cluster.Network);

    public ClusterSpec Cluster(string name) => Clusters.First(cluster => cluster.Name == name);
}

public enum JoinKind
{
    /// <summary>Every control plane watches all clusters; services with the same name are one service.</summary>
    Discovery,

    /// <summary>Clusters do not watch each other; services are called by names in the zone <c>global</c>, through the
    /// ingress gateway of their cluster.</summary>
    Names,
}

/// <summary>Where the certificate authorities of the clusters come from.</summary>
/// <param name="Directory">Contains the root and a folder for each cluster. Missing files are created.</param>
/// <param name="RootCertificate">A root created elsewhere that signs the intermediates; empty for the one in <paramref
/// name="Directory"/>.</param>
public sealed record TrustSpec(string Directory, string RootCertificate = "", string RootKey = "");

/// <summary>Clusters whose Pods reach each other directly.</summary>
public sealed record NetworkSpec(string Name, GatewaySpec Gateway);

/// <summary>The east-west gateways of a network.</summary>
/// <param name="Clusters">The clusters of the network that run one; empty for all.</param>
/// <param name="Service">Fields of their Service's spec, for example its type.</param>
public sealed record GatewaySpec(ValueList<string> Clusters, int Replicas, JsonObject Service, JsonObject ServiceAnnotations)
{
    public static GatewaySpec Default => new([], 1, [], []);

    public bool IsDefault => Clusters.IsEmpty && Replicas == 1 && Service.Count == 0 && ServiceAnnotations.Count == 0;
}

/// <summary>The control plane of a cluster that has none of its own: it runs in another cluster.</summary>
public sealed record HostSpec(string Cluster, string Namespace);

/// <summary>One cluster of the mesh.</summary>
/// <param name="Context">The kubeconfig context of the cluster.</param>
/// <param name="Region">The region of its Nodes, which get it as a label.</param>
/// <param name="Server">The API server's address as Pods of other clusters reach it; empty for the one in the
/// kubeconfig.</param>
/// <param name="Primaries">The clusters whose control planes serve this one; empty when it has its own.</param>
/// <param name="ControlPlane">Where its control plane runs, if in another cluster.</param>
/// <param name="Certificates">A folder with the four files of its CA, created elsewhere; empty to use <see
/// cref="TrustSpec"/>.</param>
/// <param name="Install">Fields of an IstioOperator spec for this cluster, which override those of the mesh.</param>
public sealed record ClusterSpec(
    string Name, string Context, string Network, string Region, string Zone, string Server, ValueList<string> Primaries, HostSpec? ControlPlane,
    string Certificates, JsonObject Install)
{
    public bool IsPrimary => Primaries.IsEmpty && ControlPlane is null;

    /// <summary>The clusters through whose gateways it reaches its control plane.</summary>
    public ValueList<string> Entries => ControlPlane is null ? Primaries : [ControlPlane.Cluster];

    /// <summary>The namespace of its installation.</summary>
    public string SystemNamespace => ControlPlane?.Namespace ?? WellKnown.SystemNamespace;
}
