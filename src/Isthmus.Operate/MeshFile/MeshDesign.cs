using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Operate.MeshFile;

/// <summary>A control plane that watches a cluster: <paramref name="Watcher"/> holds the credentials of <paramref
/// name="Watched"/>.</summary>
public sealed record Watch(string Watched, string Watcher);

/// <summary>The objects that every cluster of a mesh file needs: pure, and the same objects that you create with the
/// guides.</summary>
public sealed class MeshDesign(MeshSpec mesh)
{
    // A cluster with an external control plane forms its own mesh.
    private readonly bool _hasNetworks = mesh.Clusters.Where(cluster => cluster.ControlPlane is null).Select(cluster => cluster.Network).Distinct().Count() > 1;

    public MeshSpec Mesh => mesh;

    public bool JoinsByNames => mesh.Join == JoinKind.Names;

    /// <summary>Whether other clusters get their configuration from this cluster's control plane.</summary>
    public bool ServesOthers(ClusterSpec cluster) => mesh.Clusters.Any(other => other.Primaries.Contains(cluster.Name));

    /// <summary>Clusters whose control planes run in this one.</summary>
    public IEnumerable<ClusterSpec> Hosted(ClusterSpec host) => mesh.Clusters.Where(cluster => cluster.ControlPlane?.Cluster == host.Name);

    /// <summary>Whether it needs a gateway: other networks call services here, or other clusters reach the control plane
    /// here.</summary>
    public bool HasGateway(ClusterSpec cluster) =>
        !JoinsByNames && cluster.ControlPlane is null && (_hasNetworks || ServesOthers(cluster) || Hosted(cluster).Any())
            && (mesh.NetworkOf(cluster).Gateway.Clusters is var only && (only.IsEmpty || only.Contains(cluster.Name)));

    /// <summary>Only control planes sign certificates, so a cluster without one needs no key.</summary>
    public static bool HasAuthority(ClusterSpec cluster) => cluster.IsPrimary || cluster.ControlPlane is not null;

    /// <summary>Every control plane watches all other clusters.</summary>
    public IEnumerable<Watch> Watches() =>
        from watcher in mesh.Clusters
        where watcher.IsPrimary && !JoinsByNames
        from watched in mesh.Clusters
        where watched.Name != watcher.Name && watched.ControlPlane is null
        select new Watch(watched.Name, watcher.Name);

    public JsonObject Namespace(ClusterSpec cluster)
    {
        var metadata = new JsonObject { ["name"] = cluster.SystemNamespace };
        if (!JoinsByNames) metadata["labels"] = new JsonObject { [Labels.Network] = cluster.Network };
        if (!cluster.Primaries.IsEmpty) metadata["annotations"] = new JsonObject { [Annotations.ControlPlaneClusters] = string.Join(",", cluster.Primaries) };
        return new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = metadata };
    }

    /// <summary>
    /// Where a cluster without a control plane reaches those of its primaries: behind all of their gateways, so that one
    /// can fail. A DNS alias could hold only one.
    /// </summary>
    public static string Discovery(IReadOnlyList<string> gateways) =>
        gateways.All(gateway => IPAddress.TryParse(gateway, out _)) ? string.Join(",", gateways) : gateways[0];

    /// <param name="discoveryAddress">The address of the primaries' gateways, for a cluster without a control plane.</param>
    public OperatorSpec Installation(ClusterSpec cluster, string discoveryAddress)
    {
        // Clusters that do not know each other do not need network names either.
        if (JoinsByNames)
        {
            return OperatorSpec.Build(
                [(mesh.Source, EastWestGateway.ReplicatedControlPlanes()), Definitions(cluster), File(mesh.Install), File(cluster.Install)], [], mesh.Revision);
        }
        var global = new JsonObject
        {
            ["meshID"] = mesh.Name, ["network"] = cluster.Network, ["multiCluster"] = new JsonObject { ["clusterName"] = cluster.Name },
        };
        var facts = new JsonObject { ["values"] = new JsonObject { ["global"] = global } };
        if (cluster.IsPrimary)
        {
            if (ServesOthers(cluster)) facts["values"]!["pilot"] = new JsonObject { ["env"] = new JsonObject { ["EXTERNAL_ISTIOD"] = "true" } };
        }
        else
        {
            facts["profile"] = cluster.ControlPlane is null ? "remote" : "external";
            global["remotePilotAddress"] = discoveryAddress;
            if (cluster.ControlPlane is { } host)
            {
                global["istioNamespace"] = host.Namespace;
                global["configCluster"] = true;
            }
        }
        return OperatorSpec.Build([Definitions(cluster), File(mesh.Install), File(cluster.Install), File(facts)], [], mesh.Revision);
    }

    /// <summary>Routes are read where configuration is. What the file says of an installation comes later, and counts more.</summary>
    private (string Source, string Text) Definitions(ClusterSpec cluster) => File(mesh.InstallsGatewayApi && HasAuthority(cluster)
        ? new() { ["values"] = new JsonObject { ["base"] = new JsonObject { ["enableGatewayAPICRDs"] = true } } } : []);

    /// <summary>The control plane of a cluster that has none of its own, for the cluster that hosts it. It reads its
    /// configuration in the cluster of its workloads.</summary>
    public OperatorSpec HostedControlPlane(ClusterSpec cluster)
    {
        var facts = new JsonObject
        {
            ["profile"] = "empty",
            ["components"] = new JsonObject { ["pilot"] = new JsonObject { ["enabled"] = true } },
            ["values"] = new JsonObject
            {
                ["global"] = new JsonObject
                {
                    ["istioNamespace"] = cluster.SystemNamespace, ["operatorManageWebhooks"] = true, ["configValidation"] = false,
                    ["meshID"] = mesh.Name, ["network"] = cluster.Network, ["multiCluster"] = new JsonObject { ["clusterName"] = cluster.Name },
                },
                ["pilot"] = new JsonObject { ["env"] = new JsonObject { ["LOCAL_CLUSTER_SECRET_WATCHER"] = "true" } },
            },
        };
        return OperatorSpec.Build([File(Settings(mesh.Install)), File(Settings(cluster.Install)), File(facts)], [], mesh.Revision);
    }

    /// <summary>Fields below <c>install</c> that have no effect.</summary>
    public IEnumerable<Problem> Warnings => mesh.Clusters.SelectMany(cluster => Installation(cluster, "").Warnings).Distinct();

    /// <summary>What the hosting cluster needs in addition: the namespace, and the gateway to the control plane.</summary>
    public (JsonObject Namespace, IReadOnlyList<JsonObject> Exposure) HostedPlace(ClusterSpec cluster) => (
        new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = cluster.SystemNamespace } },
        [.. EastWestGateway.ExposeHosted(cluster.SystemNamespace).Select(Owned)]);

    /// <summary>The part of an installation that is not a component.</summary>
    private static JsonObject Settings(JsonObject install) =>
        new(install.Where(field => field.Key is "hub" or "tag" or "meshConfig" or "values")
            .Select(field => KeyValuePair.Create(field.Key, field.Value?.DeepClone())));

    public OperatorSpec Gateway(ClusterSpec cluster)
    {
        var gateway = mesh.NetworkOf(cluster).Gateway;
        var k8s = new JsonObject();
        if (gateway.Replicas != 1) k8s["replicaCount"] = gateway.Replicas;
        if (gateway.Service.Count > 0) k8s["service"] = gateway.Service.DeepClone();
        if (gateway.ServiceAnnotations.Count > 0) k8s["serviceAnnotations"] = gateway.ServiceAnnotations.DeepClone();
        var file = EastWestGateway.Operator(cluster.Network, mesh.Revision, k8s);
        // Images come from the same hub as the control plane's.
        foreach (var field in (string[])["hub", "tag"])
        {
            if ((cluster.Install[field] ?? mesh.Install[field]) is { } value) file["spec"]![field] = value.DeepClone();
        }
        var global = (JsonObject)file["spec"]!["values"]!["global"]!;
        // Who leaves only a control plane's own ports open means the gateway beside it, too.
        foreach (var field in (string[])["imagePullPolicy", "imagePullSecrets", "networkPolicy"])
        {
            if ((Global(cluster.Install, field) ?? Global(mesh.Install, field)) is { } value) global[field] = value.DeepClone();
        }
        return OperatorSpec.Build([(mesh.Source, YamlText.Print(file))], [], null);
    }

    private static JsonNode? Global(JsonObject install, string field) => ((install["values"] as JsonObject)?["global"] as JsonObject)?[field];

    /// <summary>What the gateway exposes: services of the mesh and, if other clusters need it, the control plane.</summary>
    public IReadOnlyList<JsonObject> Exposure(ClusterSpec cluster)
    {
        // A cluster without a control plane has no configuration: its gateway uses the primary's.
        if (!cluster.IsPrimary || JoinsByNames) return [];
        var objects = new List<JsonObject>();
        if (_hasNetworks) objects.AddRange(EastWestGateway.ExposeServices());
        if (ServesOthers(cluster)) objects.AddRange(EastWestGateway.ExposeControlPlane(mesh.Revision));
        return [.. objects.Select(Owned)];
    }

    /// <summary>Marks an object as created for this mesh, so that it is removed with the mesh.</summary>
    public JsonObject Owned(JsonObject value)
    {
        var metadata = (JsonObject)value["metadata"]!;
        var annotations = metadata["annotations"] as JsonObject ?? (JsonObject)(metadata["annotations"] = new JsonObject())!;
        annotations[Annotations.Mesh] = mesh.Name;
        return value;
    }

    private (string Source, string Text) File(JsonObject spec) => (mesh.Source, YamlText.Print(new JsonObject
    {
        ["apiVersion"] = "install.istio.io/v1alpha1", ["kind"] = "IstioOperator", ["spec"] = spec.DeepClone(),
    }));
}
