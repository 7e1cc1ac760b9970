using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Derive;

/// <summary>
/// Stages what watches see, and commits it together with the addresses that it makes necessary. All methods belong to one thread;
/// collections may be read from any.
/// </summary>
public sealed class MeshWriter
{
    private MeshChanges _changes = new();

    public MeshWriter(MeshGraph mesh, AddressAllocator allocator)
    {
        (Mesh, Allocator) = (mesh, allocator);
        mesh.Graph.Committed += _ => Collect();
    }

    public MeshGraph Mesh { get; }

    public AddressAllocator Allocator { get; }

    /// <summary>False while an earlier table may still be imported: addresses given before would not be the ones that are remembered.</summary>
    public bool Allocates { get; private set; } = true;

    /// <summary>Gives no addresses before <see cref="StartAllocating"/>.</summary>
    public void HoldAllocation() => Allocates = false;

    public void StartAllocating() => (Allocates, _needsChanged) = (true, true);

    private MeshSources Sources => Mesh.Sources;

    public void Put(string cluster, Service service) => Put(Sources.Services, cluster, service, KubeFacts.Of(cluster, service));

    public void Put(string cluster, Pod pod)
    {
        Put(Sources.Pods, cluster, pod, KubeFacts.Of(cluster, pod));
        Sources.PodReadiness.Put(new(cluster, pod.Metadata.Namespace, pod.Metadata.Name), new(pod.Status.IsReady && pod.Metadata.DeletionTimestamp is null));
    }

    public void Put(string cluster, Node node) => Put(Sources.Nodes, cluster, node, KubeFacts.Of(cluster, node));

    public void Put(string cluster, Namespace ns) => Put(Sources.Namespaces, cluster, ns, KubeFacts.Of(cluster, ns));

    public void Put(string cluster, Secret secret)
    {
        var key = new ObjectKey(cluster, secret.Metadata.Namespace, secret.Metadata.Name);
        if (KubeFacts.Of(cluster, secret) is { } credential) Sources.Credentials.Put(key, credential);
        else Sources.Credentials.Remove(key);
    }

    public void Put(string cluster, EndpointSlice slice)
    {
        if (KubeFacts.Of(cluster, slice) is { } facts) Put(Sources.Slices, cluster, slice, facts);
        else Remove(cluster, Kinds.EndpointSlice, slice.Metadata.Namespace, slice.Metadata.Name);
    }

    /// <summary>One of the six kinds above is gone.</summary>
    public void Remove(string cluster, ResourceKind kind, string ns, string name)
    {
        var key = new ObjectKey(cluster, ns, name);
        switch (kind.Kind)
        {
            case "Service": Sources.Services.Remove(key); break;
            case "Pod":
                Sources.Pods.Remove(key);
                Sources.PodReadiness.Remove(key);
                break;
            case "Node": Sources.Nodes.Remove(key); break;
            case "Secret": Sources.Credentials.Remove(key); break;
            case "Namespace": Sources.Namespaces.Remove(key); break;
            case "EndpointSlice": Sources.Slices.Remove(key); break;
            default: throw new ArgumentException($"{kind.Kind} is none of the graph's kinds", nameof(kind));
        }
    }

    /// <summary>A ServiceExport or ServiceImport.</summary>
    public void PutMultiCluster(string cluster, JsonObject @object)
    {
        var (export, import) = MultiClusterFacts.Of(cluster, @object);
        if (export is not null) Sources.Exports.Put(MultiClusterFacts.Key(export.Source), export);
        if (import is not null) Sources.Imports.Put(MultiClusterFacts.Key(import.Source), import);
    }

    public void RemoveMultiCluster(string cluster, string kind, string ns, string name)
    {
        if (kind == MultiClusterFacts.Export) Sources.Exports.Remove(new(cluster, ns, name));
        else Sources.Imports.Remove(new(cluster, ns, name));
    }

    /// <summary>One of Istio's objects. One that has errors changes nothing but the problems: the last good one stays.</summary>
    public void PutConfig(string cluster, JsonObject @object)
    {
        var read = IstioConfig.Read(@object, cluster);
        if (read.Problems.IsEmpty) Sources.Problems.Remove(read.Source);
        else Sources.Problems.Put(read.Source, new(read.Problems));
        var key = new ObjectKey(cluster, read.Source.Namespace, read.Source.Name);
        switch (read.Value)
        {
            case Gateway gateway: Sources.Gateways.Put(key, gateway); break;
            case VirtualService routing: Sources.VirtualServices.Put(key, routing); break;
            case DestinationRule rule: Sources.DestinationRules.Put(key, rule); break;
            case ServiceEntry entry: Sources.ServiceEntries.Put(key, entry); break;
            case WorkloadEntry workload: Sources.WorkloadEntries.Put(key, workload); break;
            case Sidecar sidecar: Sources.Sidecars.Put(key, sidecar); break;
            case EnvoyFilter filter: Sources.EnvoyFilters.Put(key, filter); break;
            case PeerAuthentication policy: Sources.PeerAuthentications.Put(key, policy); break;
            case AuthorizationPolicy policy: Sources.AuthorizationPolicies.Put(key, policy); break;
            case RequestAuthentication policy: Sources.RequestAuthentications.Put(key, policy); break;
            default: break;
        }
    }

    public void RemoveConfig(string cluster, string kind, string ns, string name)
    {
        var key = new ObjectKey(cluster, ns, name);
        Sources.Problems.Remove(new(cluster, kind, ns, name));
        switch (kind)
        {
            case "Gateway": Sources.Gateways.Remove(key); break;
            case "VirtualService": Sources.VirtualServices.Remove(key); break;
            case "DestinationRule": Sources.DestinationRules.Remove(key); break;
            case "ServiceEntry": Sources.ServiceEntries.Remove(key); break;
            case "WorkloadEntry": Sources.WorkloadEntries.Remove(key); break;
            case "Sidecar": Sources.Sidecars.Remove(key); break;
            case "EnvoyFilter": Sources.EnvoyFilters.Remove(key); break;
            case "PeerAuthentication": Sources.PeerAuthentications.Remove(key); break;
            case "AuthorizationPolicy": Sources.AuthorizationPolicies.Remove(key); break;
            case "RequestAuthentication": Sources.RequestAuthentications.Remove(key); break;
            default: break;
        }
    }

    /// <summary>The documents <c>mesh</c> and <c>meshNetworks</c>, parsed; returns what is wrong with them.</summary>
    public ValueList<Problem> PutSettings(string cluster, JsonNode? mesh, JsonNode? networks)
    {
        var (config, problems) = MeshConfigReader.ReadMesh(mesh);
        var (meshNetworks, more) = MeshConfigReader.ReadNetworks(networks);
        var all = problems.Concat(more).ToValueList();
        var source = new ObjectRef(cluster, "ConfigMap", config.RootNamespace, "istio");
        if (all.IsEmpty) Sources.Problems.Remove(source);
        else Sources.Problems.Put(source, new(all));
        Sources.Settings.Put("", new(config, meshNetworks));
        return all;
    }

    /// <summary>A cluster joins, or what is known about the connection to it changes.</summary>
    public void PutContact(ClusterContact contact) => Sources.Clusters.Put(contact.Cluster, contact);

    /// <summary>A cluster left the mesh: everything that it told goes with it.</summary>
    public void RemoveCluster(string cluster)
    {
        RemoveOf(Sources.Services, cluster);
        RemoveOf(Sources.Slices, cluster);
        RemoveOf(Sources.Pods, cluster);
        RemoveOf(Sources.PodReadiness, cluster);
        RemoveOf(Sources.Nodes, cluster);
        RemoveOf(Sources.Namespaces, cluster);
        RemoveOf(Sources.Exports, cluster);
        RemoveOf(Sources.Imports, cluster);
        RemoveOf(Sources.Gateways, cluster);
        RemoveOf(Sources.VirtualServices, cluster);
        RemoveOf(Sources.DestinationRules, cluster);
        RemoveOf(Sources.ServiceEntries, cluster);
        RemoveOf(Sources.WorkloadEntries, cluster);
        RemoveOf(Sources.Sidecars, cluster);
        RemoveOf(Sources.EnvoyFilters, cluster);
        RemoveOf(Sources.Credentials, cluster);
        RemoveOf(Sources.PeerAuthentications, cluster);
        RemoveOf(Sources.AuthorizationPolicies, cluster);
        RemoveOf(Sources.RequestAuthentications, cluster);
        Sources.Problems.RemoveWhere(source => source.Cluster == cluster);
        Sources.Clusters.Remove(cluster);
    }

    public void PutResolved(string host, ValueList<string> addresses) => Sources.ResolvedHosts.Put(host, new(addresses));

    public void RemoveResolved(string host) => Sources.ResolvedHosts.Remove(host);

    /// <summary>Makes what was staged one revision, addresses allocated, and tells what came of it.</summary>
    public MeshChanges Commit()
    {
        Mesh.Graph.Commit();
        if (Allocate()) Mesh.Graph.Commit();
        var changes = _changes;
        _changes = new();
        return changes;
    }

    private bool Allocate()
    {
        if (!_needsChanged || !Allocates) return false;
        _needsChanged = false;
        var addresses = Allocator.Reconcile(Mesh.AddressNeeds.Items.Keys, Taken());
        var staged = false;
        foreach (var (host, address) in addresses)
        {
            var next = new AllocatedAddress(address);
            if (Sources.Allocated.Items.TryGetValue(host, out var known) && known == next) continue;
            Sources.Allocated.Put(host, next);
            staged = true;
        }
        foreach (var host in Sources.Allocated.Items.Keys.Where(host => !addresses.ContainsKey(host)))
        {
            Sources.Allocated.Remove(host);
            staged = true;
        }
        return staged;
    }

    private bool _needsChanged;

    /// <summary>Addresses of our range that objects name themselves.</summary>
    private HashSet<IPAddress> Taken() => Mesh.Unaddressed.Items.Values
        .SelectMany(service => service.Addresses.Concat(service.Vips.Values.SelectMany(ips => ips)))
        .Where(address => address.StartsWith("240.240.", StringComparison.Ordinal))
        .Select(address => IPAddress.TryParse(address, out var ip) ? ip : IPAddress.None).ToHashSet();

    private void Collect()
    {
        _needsChanged |= Mesh.AddressNeeds.Changed.Count > 0 || Mesh.Unaddressed.Changed.Any(host => Mesh.Unaddressed.Items.TryGetValue(host, out var service) && !service.Addresses.IsEmpty);
        _changes.Services.UnionWith(Mesh.Services.Changed);
        _changes.Endpoints.UnionWith(Mesh.Endpoints.Changed);
        _changes.Gateways |= Mesh.GatewayTables.Changed.Count > 0;
        _changes.Config |= Sources.Settings.Changed.Count > 0 || Sources.Gateways.Changed.Count > 0 || Mesh.Routings.Changed.Count > 0
            || Sources.DestinationRules.Changed.Count > 0 || Sources.Sidecars.Changed.Count > 0 || Sources.EnvoyFilters.Changed.Count > 0 || Sources.PeerAuthentications.Changed.Count > 0;
        CollectProxies(_changes.Proxies);
    }

    private void CollectProxies(ProxyChanges changes)
    {
        changes.Pods.UnionWith(Sources.Pods.Changed);
        changes.Nodes.UnionWith(Sources.Nodes.Changed);
        changes.Places.UnionWith(Mesh.ServicesByNamespace.Changed);
        changes.Places.UnionWith(Sources.Credentials.Changed.Select(key => (key.Cluster, key.Namespace)));
        changes.Namespaces.UnionWith(Mesh.AuthorizationsByNamespace.Changed);
        changes.Namespaces.UnionWith(Mesh.TokensByNamespace.Changed);
        // Policies of the root namespace hold for everybody, and the way to an issuer's keys may be among services that changed.
        var root = (Sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default).Mesh.RootNamespace;
        changes.All |= changes.Namespaces.Contains(root) || (Sources.RequestAuthentications.Items.Count > 0 && Mesh.Services.Changed.Count > 0);
    }

    private static void Put<T>(Source<ObjectKey, T> source, string cluster, KubeObject @object, T facts) where T : IEquatable<T> =>
        source.Put(new(cluster, @object.Metadata.Namespace, @object.Metadata.Name), facts);

    private static void RemoveOf<T>(Source<ObjectKey, T> source, string cluster) where T : IEquatable<T> => source.RemoveWhere(key => key.Cluster == cluster);
}
