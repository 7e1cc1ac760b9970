using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Derive;

/// <summary>Derives endpoints, and what is known about each, from EndpointSlices and ServiceEntries.</summary>
/// <param name="services">The Services that discovery selects.</param>
internal sealed class EndpointDerivation(MeshSources sources, Live<ObjectKey, ClusterService> services, PolicyIndex policies, MultiClusterHosts exports, Ownership ownership)
{
    public EndpointSet OfSlice(Reader read, SliceFacts slice)
    {
        var (cluster, ns) = (slice.Source.Cluster, slice.Source.Namespace);
        if (read.Get(services, new ObjectKey(cluster, ns, slice.Service)) is not { } service) return new("", default);
        var ports = Join(service, slice.Ports);
        var context = Context(read, cluster, ns);
        var withheld = exports.IsWithheld(read, service);
        var endpoints = new List<MeshEndpoint>(slice.Addresses.Count);
        foreach (var address in slice.Addresses) endpoints.Add(OfAddress(read, service, slice, address, ports, context) with { Withheld = withheld });
        return new(service.Hostname, endpoints.ToValueList());
    }

    /// <summary>Service port numbers to target ports: the slice has only the port names of its own cluster.</summary>
    private static List<(int Service, int Target)> Join(ClusterService service, ValueMap<int> targets)
    {
        var joined = new List<(int, int)>(service.Ports.Count);
        foreach (var port in service.Ports)
        {
            if (port.Protocol != Protocol.Udp && targets.TryGetValue(port.Name, out var target)) joined.Add((port.Number, target));
        }
        return joined;
    }

    /// <summary>The inputs of every endpoint in a cluster's namespace.</summary>
    private sealed record Surroundings(
        string Cluster, MeshSettings Settings, string SystemNetwork, ValueList<PeerAuthentication> MeshPolicies, ValueList<PeerAuthentication> LocalPolicies);

    /// <summary>What surrounds a WorkloadEntry. As in Istio, one of the configuration cluster may be anywhere, so only its own fields, or an address
    /// range that contains it, name its network. One of another cluster is in the network of that cluster.</summary>
    private Surroundings Around(Reader read, WorkloadEntry workload)
    {
        var cluster = workload.Source.Cluster;
        var context = Context(read, cluster, workload.Namespace);
        return read.Get(sources.Clusters, cluster) is { IsConfig: false } ? context : OfEntries(context);
    }

    /// <summary>Endpoints that are not part of the Pod network of their cluster.</summary>
    private static Surroundings OfEntries(Surroundings context) => context with { Cluster = "", SystemNetwork = "" };

    private Surroundings Context(Reader read, string cluster, string ns)
    {
        var settings = read.Get(sources.Settings, "") ?? MeshSettings.Default;
        var root = settings.Mesh.RootNamespace;
        return new(
            cluster, settings, read.Get(sources.Namespaces, new ObjectKey(cluster, "", root))?.Network ?? "",
            read.Get(policies.PeersByNamespace, root), root == ns ? default : read.Get(policies.PeersByNamespace, ns));
    }

    private MeshEndpoint OfAddress(Reader read, ClusterService service, SliceFacts slice, SliceAddress address, List<(int Service, int Target)> ports, Surroundings context)
    {
        var pod = address.Pod is { } key ? read.Get(sources.Pods, key) : null;
        return OfPod(read, service.Hostname, pod, address.Address, ports, context, address.Node) with
        {
            Health = HealthOf(service, address, pod),
            PodHostname = pod is { Hostname.Length: > 0 } && pod.Subdomain == service.Name ? pod.Hostname : address.Hostname,
            Source = slice.Source,
            PodName = address.Pod?.Name ?? "",
            IsBorrowed = service.Headless && ownership.IsBorrowed(read, service.Cluster, service.Namespace, address.Address, pod),
        };
    }

    private MeshEndpoint OfPod(
        Reader read, string host, PodFacts? pod, string address, List<(int Service, int Target)> ports, Surroundings context, string otherNode = "")
    {
        var cluster = context.Cluster;
        var labels = pod?.Labels ?? default;
        var node = pod?.Node is { Length: > 0 } named ? named : otherNode;
        var locality = LocalityOf(read, cluster, node, labels);
        var network = NetworkOf(cluster, address, labels, context);
        var accepts = labels.TryGetValue(Labels.TlsMode, out var mode) && mode == "istio";
        var policy = accepts ? MtlsPolicy.Resolve(context.MeshPolicies, context.LocalPolicies, labels) : MtlsPolicy.Default;
        return new(
            host, cluster, address,
            ports.Select(port => new EndpointPort(port.Service, port.Target, accepts && policy.ForPort(port.Target) != MtlsMode.Disable)).ToValueList(),
            network, locality, Augment(labels, cluster, network, locality),
            pod is null ? new("", "", "", "") : new(
                pod.Workload, pod.Source.Namespace, labels.Items.GetValueOrDefault(Labels.CanonicalName, ""), labels.Items.GetValueOrDefault(Labels.CanonicalRevision, "")),
            pod?.ServiceAccount ?? "", 1, EndpointHealth.NotReady, "", new(cluster, "", "", "")) { Node = node };
    }

    /// <summary>A Pod that the watch has not reported yet gets no traffic: it is not known whether it accepts mesh
    /// TLS.</summary>
    private static EndpointHealth HealthOf(ClusterService service, SliceAddress address, PodFacts? pod)
    {
        if (address.Pod is not null && pod is null) return EndpointHealth.NotReady;
        return service.PublishNotReady && address.Health == EndpointHealth.NotReady ? EndpointHealth.Ready : address.Health;
    }

    private Locality LocalityOf(Reader read, string cluster, string node, ValueMap<string> labels)
    {
        if (Locality.OfLabels(labels) is { } own) return own;
        return node.Length > 0 && read.Get(sources.Nodes, new ObjectKey(cluster, "", node)) is { } known ? known.Locality : Locality.Unknown;
    }

    /// <summary>The endpoint's label, then the system namespace's, then meshNetworks (Istio 1.20's order).</summary>
    private static string NetworkOf(string cluster, string address, ValueMap<string> labels, Surroundings context)
    {
        if (labels.TryGetValue(Labels.Network, out var own)) return own;
        if (context.SystemNetwork.Length > 0) return context.SystemNetwork;
        var networks = context.Settings.Networks.Networks;
        foreach (var (name, network) in networks)
        {
            if (network.Endpoints.Any(endpoints => endpoints.FromRegistry == cluster)) return name;
        }
        if (!IPAddress.TryParse(address, out var ip)) return "";
        foreach (var (name, network) in networks)
        {
            if (network.Endpoints.Any(endpoints => Cidr.TryParse(endpoints.FromCidr, out var range) && range.Contains(ip))) return name;
        }
        return "";
    }

    private static ValueMap<string> Augment(ValueMap<string> labels, string cluster, string network, Locality locality)
    {
        var all = labels.Items.ToBuilder();
        all[Labels.Cluster] = cluster;
        if (network.Length > 0) all[Labels.Network] = network;
        if (!string.IsNullOrEmpty(locality.Region)) all[Labels.Region] = locality.Region;
        if (!string.IsNullOrEmpty(locality.Zone)) all[Labels.Zone] = locality.Zone;
        if (!string.IsNullOrEmpty(locality.Subzone)) all[Labels.Subzone] = locality.Subzone;
        return all.ToImmutable().ToValueMap();
    }

    /// <summary>The endpoints of a ServiceEntry for each of its hosts: the listed ones, or the WorkloadEntries and Pods
    /// that it selects, or the host name itself.</summary>
    public IEnumerable<EndpointSet> OfEntry(Reader read, ServiceEntry entry)
    {
        var context = OfEntries(Context(read, entry.Source.Cluster, entry.Namespace));
        var named = new List<(EntryEndpoint Endpoint, WorkloadEntry? Workload)>();
        if (entry.WorkloadSelector.Count > 0)
        {
            foreach (var workload in read.Get(policies.WorkloadsByNamespace, entry.Namespace))
            {
                if (Selectors.Matches(entry.WorkloadSelector, workload.Endpoint.Labels)) named.Add((workload.Endpoint, workload));
            }
        }
        else named.AddRange(entry.Endpoints.Select(endpoint => (endpoint, (WorkloadEntry?)null)));
        var byName = entry.Resolution is EntryResolution.Dns or EntryResolution.DnsRoundRobin;
        foreach (var host in entry.Hosts)
        {
            var endpoints = named.Select(item => OfEntryEndpoint(entry, host, item.Endpoint, item.Workload, item.Workload is { } workload ? Around(read, workload) : context)).Concat(SelectedPods(read, entry, host)).ToList();
            if (endpoints.Count == 0 && byName) endpoints.Add(OfEntryEndpoint(entry, host, new(host, default, default, "", "", 1, ""), null, context) with { Cluster = "" });
            yield return new(host, endpoints.ToValueList());
        }
    }

    /// <summary>The Pods that the entry selects in its namespace, in every cluster.</summary>
    private IEnumerable<MeshEndpoint> SelectedPods(Reader read, ServiceEntry entry, string host)
    {
        if (entry.WorkloadSelector.Count == 0) yield break;
        foreach (var pod in read.Get(policies.PodsByNamespace, entry.Namespace))
        {
            if (pod.Addresses.IsEmpty || !Selectors.Matches(entry.WorkloadSelector, pod.Labels)) continue;
            var (cluster, ns) = (pod.Source.Cluster, pod.Source.Namespace);
            // The readiness of a Pod restored from a snapshot is unknown, so it counts as ready.
            var isReady = read.Get(sources.PodReadiness, new ObjectKey(cluster, ns, pod.Source.Name)) is not { IsReady: false };
            var ports = entry.Ports.Select(port => (port.Number, int.TryParse(port.TargetPort, System.Globalization.CultureInfo.InvariantCulture, out var target) ? target : port.Number)).ToList();
            yield return OfPod(read, host, pod, pod.Addresses[0], ports, Context(read, cluster, ns)) with
            {
                Health = isReady ? EndpointHealth.Ready : EndpointHealth.NotReady,
                Source = entry.Source,
            };
        }
    }

    /// <summary>WorkloadEntries that a Service of their own cluster selects in addition to its Pods.</summary>
    public EndpointSet? OfWorkloads(Reader read, ClusterService service)
    {
        if (service.Selector.Count == 0) return null;
        var selected = read.Get(policies.WorkloadsByNamespace, service.Namespace)
            .Where(workload => workload.Source.Cluster == service.Cluster && Selectors.Matches(service.Selector, workload.Endpoint.Labels)).ToList();
        if (selected.Count == 0) return null;
        var asEntry = new ServiceEntry(
            service.Source, [service.Hostname], default, service.Ports, false, EntryResolution.Static, default, default, default, default, service.CreatedAt);
        return new(service.Hostname, selected.Select(workload => OfEntryEndpoint(asEntry, service.Hostname, workload.Endpoint, workload, Around(read, workload)) with
        {
            IsBorrowed = service.Headless && ownership.IsBorrowed(read, service.Cluster, service.Namespace, workload.Endpoint.Address, null),
        }).ToValueList());
    }

    private static MeshEndpoint OfEntryEndpoint(ServiceEntry entry, string host, EntryEndpoint endpoint, WorkloadEntry? workload, Surroundings context)
    {
        var source = workload?.Source ?? entry.Source;
        var cluster = source.Cluster;
        var locality = endpoint.Locality.Length > 0 ? Locality.Parse(endpoint.Locality) : Locality.OfLabels(endpoint.Labels) ?? Locality.Unknown;
        var network = endpoint.Network.Length > 0 ? endpoint.Network : NetworkOf(context.Cluster, endpoint.Address, endpoint.Labels, context);
        var accepts = endpoint.Labels.TryGetValue(Labels.TlsMode, out var mode) && mode == "istio";
        var policy = accepts ? MtlsPolicy.Resolve(context.MeshPolicies, context.LocalPolicies, endpoint.Labels) : MtlsPolicy.Default;
        var ports = entry.Ports.Select(port => (port.Number, Target: TargetOf(port, endpoint)))
            .Select(port => new EndpointPort(port.Number, port.Target, accepts && policy.ForPort(port.Target) != MtlsMode.Disable));
        return new(
            host, cluster, endpoint.Address, ports.ToValueList(), network, locality, Augment(endpoint.Labels, cluster, network, locality),
            workload is null ? new("", "", "", "") : new(
                workload.Name, workload.Namespace, endpoint.Labels.Items.GetValueOrDefault(Labels.CanonicalName, ""), endpoint.Labels.Items.GetValueOrDefault(Labels.CanonicalRevision, "")),
            endpoint.ServiceAccount, endpoint.Weight, EndpointHealth.Ready, "", source);
    }

    private static int TargetOf(ServicePort port, EntryEndpoint endpoint)
    {
        if (endpoint.Ports.TryGetValue(port.Name, out var own) && own > 0) return own;
        return int.TryParse(port.TargetPort, System.Globalization.CultureInfo.InvariantCulture, out var target) ? target : port.Number;
    }

    /// <summary>All endpoints of a host, cluster by cluster, and their identities.</summary>
    public HostEndpoints Gather(Reader read, ValueList<EndpointSet> sets, MeshService? service)
    {
        var mesh = (read.Get(sources.Settings, "") ?? MeshSettings.Default).Mesh;
        var all = sets.SelectMany(set => set.Endpoints)
            .OrderBy(endpoint => endpoint.Cluster, StringComparer.Ordinal).ThenBy(endpoint => endpoint.Address, AddressOrder.Instance).ToValueList();
        var identities = new SortedSet<string>(StringComparer.Ordinal);
        var allMtls = all.Count > 0;
        foreach (var endpoint in all)
        {
            if (endpoint.Ports.Any(port => !port.Mtls)) allMtls = false;
            if (endpoint.ServiceAccount.Length == 0) continue;
            var ns = endpoint.Workload.Namespace.Length > 0 ? endpoint.Workload.Namespace : service?.Namespace ?? endpoint.Source.Namespace;
            foreach (var domain in mesh.TrustDomains) identities.Add($"spiffe://{domain}/ns/{ns}/sa/{endpoint.ServiceAccount}");
        }
        identities.UnionWith(service?.ServiceAccounts ?? default);
        return new(all, identities.ToValueList(), allMtls);
    }
}

/// <summary>IP addresses by number, so that .9 comes before .10; others after them by text.</summary>
internal sealed class AddressOrder : IComparer<string>
{
    public static readonly AddressOrder Instance = new();

    public int Compare(string? x, string? y)
    {
        var first = IPAddress.TryParse(x, out var a);
        var second = IPAddress.TryParse(y, out var b);
        if (!first || !second) return first != second ? (first ? -1 : 1) : string.CompareOrdinal(x, y);
        Span<byte> left = stackalloc byte[16], right = stackalloc byte[16];
        a!.TryWriteBytes(left, out var leftLength);
        b!.TryWriteBytes(right, out var rightLength);
        return leftLength != rightLength ? leftLength.CompareTo(rightLength) : left[..leftLength].SequenceCompareTo(right[..rightLength]);
    }
}
