using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;
using Microsoft.Extensions.Logging.Abstractions;

namespace Isthmus.Graph.Verdicts;

/// <summary>
/// What a control plane would say of the objects of the Gateway API, by its own graph, of objects that somebody else has read. Deployments and their
/// readiness are not part of it. It never changes.
/// </summary>
public sealed class GatewayVerdicts
{
    private const string Revision = "default";

    private readonly MeshGraph _mesh;
    private readonly string _cluster;

    private GatewayVerdicts(MeshGraph mesh, string cluster) => (_mesh, _cluster) = (mesh, cluster);

    /// <param name="cluster">The cluster whose objects of the Gateway API apply.</param>
    /// <param name="settings">Its MeshConfig.</param>
    /// <param name="multiCluster">What its control plane is told of the multi-cluster services API.</param>
    /// <param name="objects">The objects of all clusters, each with its cluster; others than the verdicts depend on may be among them.</param>
    /// <param name="secrets">What Secrets of the cluster hold.</param>
    public static GatewayVerdicts Of(string cluster, MeshSettings settings, MultiClusterSettings multiCluster,
        IReadOnlyList<(string Cluster, JsonObject Item)> objects, IEnumerable<TlsCredential> secrets)
    {
        var writer = new MeshWriter(new MeshGraph(multiCluster), new(), new(multiCluster, "", Revision, NullLogger<MeshKinds>.Instance));
        foreach (var name in objects.Select(item => item.Cluster).Append(cluster).Distinct()) writer.PutContact(new(name, name == cluster, true, true, 0));
        var sources = writer.Mesh.Sources;
        sources.Settings.Put("", settings);
        foreach (var secret in secrets) sources.Credentials.Put(new(cluster, secret.Source.Namespace, secret.Source.Name), secret);
        var kinds = ((MeshKind[])
        [
            writer.Kinds.Services, writer.Kinds.Namespaces, writer.Kinds.CaBundles, writer.Kinds.TrustBundles, writer.Kinds.Exports,
            writer.Kinds.Imports,
            writer.Kinds.Istio.First(kind => kind.Descriptor == MeshApi.ServiceEntry), .. writer.Kinds.GatewayApi,
        ]).ToDictionary(kind => kind.Descriptor.ToString(), StringComparer.Ordinal);
        foreach (var (at, item) in objects)
        {
            if (MeshApi.Find((string?)item["apiVersion"] ?? "", (string?)item["kind"] ?? "") is not { } known) continue;
            if (kinds.TryGetValue(known.ToString(), out var kind) && (at == cluster || kind.Place == KindPlace.EveryCluster)) Stage(writer, kind, at, item);
        }
        writer.Commit();
        return new(writer.Mesh, cluster);
    }

    /// <summary>The Gateways that proxies of the mesh serve.</summary>
    public IEnumerable<ApiGateway> Served => _mesh.GatewayApi.Served.Items.Values;

    /// <summary>All Gateways, whoever serves them.</summary>
    public IEnumerable<ApiGateway> Gateways => _mesh.Sources.ApiGateways.Items.Values;

    public IEnumerable<ListenerSet> ListenerSets => _mesh.Sources.ListenerSets.Items.Values;

    public IEnumerable<BackendTlsPolicy> Policies => _mesh.Sources.BackendTlsPolicies.Items.Values;

    public IEnumerable<BackendTrafficPolicy> TrafficPolicies => _mesh.Sources.BackendTrafficPolicies.Items.Values;

    public IEnumerable<GatewayClass> Classes => _mesh.Sources.GatewayClasses.Items.Values;

    /// <summary>All routes, with the listeners that take them.</summary>
    public IEnumerable<AttachedRoute> Routes => _mesh.GatewayApi.Attached.Items.Values;

    /// <summary>The listeners of served Gateways and of their ListenerSets.</summary>
    public IEnumerable<JudgedListeners> Listeners => _mesh.GatewayApi.Listeners.Items.Values;

    /// <summary>The Gateways of Istio's kind that stand for these listeners.</summary>
    public IEnumerable<Gateway> Servers => _mesh.GatewayApi.Gateways.Items.Values;

    /// <summary>What is said of a Gateway, without its addresses and whether its Pods serve it.</summary>
    public GatewayStatus? OfGateway(ObjectRef gateway) => _mesh.GatewayApi.GatewayStatuses.Items.GetValueOrDefault(gateway);

    public ListenerSetStatus? OfListenerSet(ObjectRef set) => _mesh.GatewayApi.ListenerSetStatuses.Items.GetValueOrDefault(set);

    /// <summary>Null: none of its parents is ours.</summary>
    public RouteStatus? OfRoute(ObjectRef route) => _mesh.RouteStatuses.Items.GetValueOrDefault(route);

    public PolicyStatus? OfPolicy(ObjectRef policy) => _mesh.PolicyStatuses.Items.GetValueOrDefault(policy);

    /// <summary>What is wrong with a policy, whether or not a Gateway leads to its targets.</summary>
    public ValueList<ApiCondition> ConditionsOf(BackendTlsPolicy policy) => _mesh.BackendTls.ConditionsOf(Reader.Now, policy);

    /// <inheritdoc cref="ConditionsOf(BackendTlsPolicy)"/>
    public ValueList<ApiCondition> ConditionsOf(BackendTrafficPolicy policy) => _mesh.BackendTraffic.ConditionsOf(Reader.Now, policy);

    /// <summary>The controller of ours that serves a Gateway; null for none.</summary>
    public string? ControllerOf(ApiGateway gateway) =>
        GatewayClasses.ControllerOf(gateway, _mesh.Sources.GatewayClasses.Items.GetValueOrDefault(new(_cluster, "", gateway.Class)));

    /// <summary>Whether some cluster has a Service.</summary>
    public bool HasService(string ns, string name) => _mesh.Services.Items.ContainsKey($"{name}.{ns}.svc.{WellKnown.DefaultDomainSuffix}");

    /// <summary>Where a reference of a route to a backend leads.</summary>
    /// <param name="route">The route.</param>
    /// <param name="to">The reference.</param>
    /// <param name="needsGrant">Whether it may lead to another namespace only with a grant: not for callers within the mesh.</param>
    public BackendTarget TargetOf(ApiRoute route, ApiReference to, bool needsGrant) => _mesh.ApiBackends.TargetOf(Reader.Now, route, to, needsGrant);

    /// <summary>Looks up what Gateways and ListenerSets refer to.</summary>
    public ListenerReferences References => _mesh.GatewayApi.ReferencesIn(Reader.Now, _cluster);

    /// <summary>What is wrong with an object is said elsewhere.</summary>
    private static void Stage(MeshWriter writer, MeshKind kind, string cluster, JsonObject item)
    {
        try
        {
            kind.StageTree(writer, cluster, WithoutRevision(item));
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or JsonException)
        {
        }
    }

    /// <summary>Whichever control plane reads an object says the same of it.</summary>
    private static JsonObject WithoutRevision(JsonObject item)
    {
        if (item["metadata"]?["labels"] is not JsonObject labels || !labels.ContainsKey(Labels.Revision)) return item;
        var copy = (JsonObject)item.DeepClone();
        ((JsonObject)copy["metadata"]!["labels"]!).Remove(Labels.Revision);
        return copy;
    }
}
