using System.Text.Json.Nodes;
using Isthmus.Graph.Verdicts;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The objects of the Gateway API of a cluster, with what its control plane says of them.</summary>
public sealed class JudgedGatewayApi
{
    private readonly bool _isAll, _hasImportHosts;

    private JudgedGatewayApi(ClusterInventory cluster, GatewayVerdicts verdicts, bool isAll, bool hasImportHosts) =>
        (Cluster, Verdicts, _isAll, _hasImportHosts) = (cluster, verdicts, isAll, hasImportHosts);

    public ClusterInventory Cluster { get; }

    public GatewayVerdicts Verdicts { get; }

    /// <summary>One for each cluster that has such objects.</summary>
    /// <param name="isAll">Whether all clusters of the mesh are among them: one that was not read may have backends.</param>
    public static IEnumerable<JudgedGatewayApi> Of(IReadOnlyList<ClusterInventory> clusters, bool isAll)
    {
        foreach (var cluster in clusters)
        {
            if (!MeshApi.All.Any(kind => kind.Group == MeshApi.ApiGateway.Group && cluster.Objects(kind.Name).Any())) continue;
            var objects = clusters.SelectMany(other => other.AllObjects.Select(item => (other.Context, item))).ToList();
            // Of what nobody has read, nothing is missing.
            var secrets = GatewayApiReferences.Secrets(cluster)
                .Select(name => cluster.Secrets.TryGetValue($"{name.Namespace}/{name.Name}", out var known)
                    ? known.Credential is { } credential ? credential with { Source = new(cluster.Context, "Secret", name.Namespace, name.Name) } : null
                    : KnownSecret.Unread(name.Namespace, name.Name)).OfType<TlsCredential>();
            var planes = cluster.ControlPlanes.Any() ? cluster.ControlPlanes : clusters.SelectMany(other => other.ControlPlanes);
            var multiCluster = ControlPlaneDeployment.MultiCluster(planes.Select(plane => plane.Deployment));
            var settings = new MeshSettings(cluster.Mesh ?? MeshConfig.Default, cluster.Networks);
            yield return new(cluster, GatewayVerdicts.Of(cluster.Context, settings, multiCluster, objects, secrets), isAll, multiCluster.Host);
        }
    }

    /// <summary>How findings name an object.</summary>
    public static string Name(ObjectRef source) => source.Namespace.Length == 0 ? $"{source.Kind} {source.Name}"
        : $"{source.Kind} {source.Namespace}/{source.Name}";

    public JsonObject? Find(ObjectRef source) => Cluster.Find(Name(source));

    /// <summary>What the control plane says is wrong with the references of a route as it is, where it knows clusters that were not read; null where it
    /// does not, or says nothing.</summary>
    public IReadOnlyList<string>? SaidOfReferences(ObjectRef route)
    {
        if (_isAll || Find(route) is not { } written) return null;
        var generation = $"{written["metadata"]?["generation"]}";
        var said = (written["status"]?["parents"] as JsonArray ?? []).Where(parent => parent?["controllerName"]?.ToString() == GatewayClasses.Controller)
            .SelectMany(parent => parent!["conditions"] as JsonArray ?? [])
            .Where(condition => condition?["type"]?.ToString() == "ResolvedRefs" && $"{condition["observedGeneration"]}" == generation).ToList();
        return said.Count == 0 ? null
            : [.. said.Where(condition => condition!["status"]?.ToString() == "False").Select(condition => $"{condition!["message"]}").Distinct()];
    }

    /// <summary>The kind of a reference to an object of the Gateway API; null: of another group, or unknown.</summary>
    public static KindDescriptor? KindOf(ApiReference reference) =>
        reference.Group != MeshApi.ApiGateway.Group ? null : MeshApi.All.FirstOrDefault(kind => kind.Group == reference.Group && kind.Kind == reference.Kind);

    /// <summary>Whether the object of a reference is known to be missing.</summary>
    public bool IsMissing(KindDescriptor kind, string ns, string name) => Cluster.Knows(kind.Name) && Cluster.Find($"{kind.Name} {ns}/{name}") is null;

    /// <summary>Whether a reference to a backend can be judged: what was not read may exist.</summary>
    public bool Knows(ApiReference backend) => _isAll && backend.Kind switch
    {
        "Service" => Cluster.Knows(MeshApi.Service.Name),
        "Hostname" => Cluster.Knows(MeshApi.Service.Name) && Cluster.Knows(MeshApi.ServiceEntry.Name),
        "ServiceImport" => Cluster.Knows(MeshApi.Service.Name) && (!_hasImportHosts || Cluster.Knows(MeshApi.ServiceExport.Name)),
        "ServiceEntry" => Cluster.Knows(MeshApi.ServiceEntry.Name),
        _ => true,
    };

    /// <summary>Whether all grants were read.</summary>
    public bool KnowsGrants => Cluster.Knows(MeshApi.ReferenceGrant.Name);

    /// <summary>Another namespace that has an object of the kind and name; null for none.</summary>
    public string? Elsewhere(KindDescriptor kind, string name) =>
        Cluster.Objects(kind.Name).FirstOrDefault(item => item["metadata"]?["name"]?.ToString() == name)?["metadata"]?["namespace"]?.ToString();
}
