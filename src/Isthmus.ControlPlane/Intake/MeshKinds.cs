using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Intake;

/// <summary>The table of kinds: all that a control plane reads of clusters.</summary>
/// <param name="settingsMap">The name of the ConfigMap with the settings of the mesh.</param>
public sealed class MeshKinds(MultiClusterSettings multiCluster, string settingsMap, ILogger<MeshKinds> log)
{
    public ServiceKind Services { get; } = new();
    public EndpointSliceKind Slices { get; } = new();
    public PodKind Pods { get; } = new();
    public NodeKind Nodes { get; } = new();
    public NamespaceKind Namespaces { get; } = new();
    public CredentialKind Credentials { get; } = new();
    public SettingsKind Settings { get; } = new(settingsMap, log);
    public ServiceExportKind Exports { get; } = new(multiCluster);
    public ServiceImportKind Imports { get; } = new(multiCluster);

    /// <summary>Istio kinds that affect proxies.</summary>
    public IReadOnlyList<MeshKind> Istio { get; } =
    [
        new GatewayKind(), new VirtualServiceKind(), new DestinationRuleKind(), new ServiceEntryKind(), new WorkloadEntryKind(), new SidecarKind(), new EnvoyFilterKind(),
        new PeerAuthenticationKind(), new AuthorizationPolicyKind(), new RequestAuthenticationKind(),
    ];

    public IReadOnlyList<MeshKind> All => field ??= [Services, Slices, Pods, Nodes, Namespaces, Exports, Imports, .. Istio, Settings, Credentials];
}
