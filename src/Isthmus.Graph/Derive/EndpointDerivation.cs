using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>Derives endpoints, and what is known about each, from EndpointSlices and ServiceEntries.</summary>
/// <param name="services">The Services that discovery selects.</param>
internal sealed class EndpointDerivation(
    MeshSources sources, Live<ObjectKey, ClusterService> services, PolicyIndex policies, WorkloadIndex workloads, MultiClusterHosts exports,
    Ownership ownership)
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
    private static List<JoinedPort> Join(ClusterService service, ValueMap<int> targets)
    {
        var joined = new List<JoinedPort>(service.Ports.Count);
        foreach (var port in service.Ports)
        {
            if (targets.TryGetValue(port.Name, out var target)) joined.Add(JoinedPort.Of(port, target));
        }
        return joined;
    }

    /// <summary>A port of a service, and where it leads at an endpoint.</summary>
    private readonly record struct JoinedPort(int Service, int Target, bool IsUdp)
    {
        public static JoinedPort Of(ServicePort port, int target) => new(port.Number, target, port.Protocol == Protocol.Udp);
    }

    /// <summary>The inputs of every endpoint in a cluster's namespace.</summary>
    private sealed record Surroundings(
        string Cluster, MeshSettings Settings, string SystemNetwork, ValueList<PeerAuthentication> MeshPolicies, ValueList<PeerAuthentication> LocalPolicies);

    /// <summary>What surrounds a workload: a Pod is in its cluster. As in Istio, a WorkloadEntry of the configuration cluster may be anywhere,
    /// so only its own fields, or an address range that contains it, name its network. One of another cluster is in the network of that cluster.</summary>
    private Surroundings Around(Reader read, Workload workload)
    {
        var cluster = workload.Cluster;
        var context = Context(read, cluster, workload.Namespace);
        return workload.IsPod || read.Get(sources.Clusters, cluster) is { IsConfig: false } ? context : OfEntries(context);
    }

    /// <summary>Endpoints that are not part of the Pod network of their cluster.</summary>
    private static Surroundings OfEntries(Surroundings context) => context with { Cluster = "", SystemNetwork = "" };

    private Surroundings Context(Reader read, string cluster, string ns)
    {
        var settings = read.Get(sources.Settings, "") ?? MeshSettings.Default;
        var root = settings.Mesh.RootNamespace;
        return new(
            cluster, settings, read.Get(sources.Namespaces, new ObjectKey(cluster, "", settings.Mesh.SystemNamespace))?.Network ?? "",
            read.Get(policies.PeersByNamespace, root), root == ns ? default : read.Get(policies.PeersByNamespace, ns));
    }

    private MeshEndpoint OfAddress(Reader read, ClusterService service, SliceFacts slice, SliceAddress address, List<JoinedPort> ports, Surroundings context)
    {
        var pod = address.Pod is { } key ? read.Get(workloads.All, Workload.KeyOfPod(key)) : null;
        return OfWorkload(read, service.Hostname, pod, EndpointAddress.Of(address.Address), ports, context, address.Node) with
        {
            Health = HealthOf(service, address, pod),
            PodHostname = pod is { Hostname.Length: > 0 } && pod.Subdomain == service.Name ? pod.Hostname : address.Hostname,
            Source = slice.Source,
            PodName = address.Pod?.Name ?? "",
            IsBorrowed = service.Headless && ownership.IsBorrowed(read, service.Cluster, service.Namespace, address.Address, pod),
        };
    }

    /// <param name="workload">Null if it is not known what is at the address.</param>
    /// <param name="otherNode">Where the address is, if the workload does not say.</param>
    private MeshEndpoint OfWorkload(
        Reader read, string host, Workload? workload, EndpointAddress address, IEnumerable<JoinedPort> ports, Surroundings context, string otherNode = "")
    {
        var cluster = workload?.Cluster ?? context.Cluster;
        var labels = workload?.Labels ?? default;
        var node = workload?.Node is { Length: > 0 } named ? named : otherNode;
        var locality = workload?.Locality ?? LocalityOf(read, cluster, node, labels);
        var network = workload?.Network is { Length: > 0 } own ? own : NetworkOf(context.Cluster, address, labels, context);
        var accepts = labels.TryGetValue(Labels.TlsMode, out var mode) && mode == "istio";
        var policy = accepts ? MtlsPolicy.Resolve(context.MeshPolicies, context.LocalPolicies, labels) : MtlsPolicy.Default;
        return new(
            host, cluster, address,
            ports.Select(port => new EndpointPort(port.Service, port.Target,
                !port.IsUdp && accepts && policy.ForPort(port.Target) != MtlsMode.Disable) { IsUdp = port.IsUdp })
                .ToValueList(),
            network, locality, Augment(labels, cluster, network, locality),
            workload is null ? new("", "", "", "") : new(
                workload.Name, workload.Namespace,
                labels.Items.GetValueOrDefault(Labels.CanonicalName, ""), labels.Items.GetValueOrDefault(Labels.CanonicalRevision, "")),
            workload?.ServiceAccount ?? "", workload?.Weight ?? 1, EndpointHealth.NotReady, "", new(cluster, "", "", "")) { Node = node };
    }

    /// <summary>A Pod that the watch has not reported yet gets no traffic: it is not known whether it accepts mesh
    /// TLS.</summary>
    private static EndpointHealth HealthOf(ClusterService service, SliceAddress address, Workload? pod)
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
    private static string NetworkOf(string cluster, EndpointAddress address, ValueMap<string> labels, Surroundings context)
    {
        if (labels.TryGetValue(Labels.Network, out var own)) return own;
        if (context.SystemNetwork.Length > 0) return context.SystemNetwork;
        var networks = context.Settings.Networks;
        if (networks.OfRegistry(cluster) is { Length: > 0 } registered) return registered;
        if (address.Ip?.ToIPAddress() is not { } ip) return "";
        foreach (var (name, network) in networks.Networks)
        {
            if (network.Endpoints.Any(endpoints => endpoints.FromCidr is { } range && range.Contains(ip))) return name;
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

    /// <summary>The endpoints of a ServiceEntry for each of its hosts: the listed ones, or the workloads that it selects in its namespace, in
    /// every cluster, or the host name itself.</summary>
    public IEnumerable<EndpointSet> OfEntry(Reader read, ServiceEntry entry)
    {
        var context = OfEntries(Context(read, entry.Source.Cluster, entry.Namespace));
        ValueList<Workload> selected = entry.WorkloadSelector.Count == 0 ? default
            : read.Get(workloads.ByNamespace, entry.Namespace)
                .Where(workload => !(workload.IsPod && workload.Addresses.IsEmpty) && Selectors.Matches(entry.WorkloadSelector, workload.Labels))
                .Select(workload => workloads.WithHealth(read, workload)).ToValueList();
        var byName = entry.Resolution is EntryResolution.Dns or EntryResolution.DnsRoundRobin;
        foreach (var host in entry.Hosts)
        {
            var endpoints = entry.WorkloadSelector.Count > 0
                ? selected.Where(workload => !workload.IsPod).Select(workload => OfEntryWorkload(read, host, entry.Ports, workload, Around(read, workload)))
                    .Concat(selected.Where(workload => workload.IsPod).Select(pod => OfSelectedPod(read, entry, host, pod))).ToList()
                : entry.Endpoints.Select(endpoint => Workload.Of(entry.Source, endpoint))
                    .Select(workload => Anonymous(OfEntryWorkload(read, host, entry.Ports, workload, context))).ToList();
            if (endpoints.Count == 0 && byName)
            {
                var named = Workload.Of(entry.Source, new(EndpointAddress.Parse(host), default, default, "", "", 1, ""));
                endpoints.Add(Anonymous(OfEntryWorkload(read, host, entry.Ports, named, context)) with { Cluster = "" });
            }
            yield return new(host, endpoints.ToValueList());
        }
    }

    /// <summary>An endpoint that a ServiceEntry lists has no name of its own.</summary>
    private static MeshEndpoint Anonymous(MeshEndpoint endpoint) => endpoint with { Workload = new("", "", "", "") };

    private MeshEndpoint OfSelectedPod(Reader read, ServiceEntry entry, string host, Workload pod)
    {
        var ports = entry.Ports.Select(port => JoinedPort.Of(port,
            int.TryParse(port.TargetPort, NumberStyles.Integer, CultureInfo.InvariantCulture, out var target) ? target : port.Number));
        return OfWorkload(read, host, pod, pod.Place, ports, Around(read, pod)) with
        {
            Health = pod.Health, Source = entry.Source,
        };
    }

    /// <summary>WorkloadEntries that a Service of their own cluster selects in addition to its Pods.</summary>
    public EndpointSet? OfWorkloads(Reader read, ClusterService service)
    {
        var selected = workloads.EntriesOf(read, service).Select(workload => workloads.WithHealth(read, workload)).ToList();
        if (selected.Count == 0) return null;
        return new(service.Hostname, selected.Select(workload => OfEntryWorkload(read, service.Hostname, service.Ports, workload, Around(read, workload)) with
        {
            IsBorrowed = service.Headless && workload.Place.Ip is { } ip && ownership.IsBorrowed(read, service.Cluster, service.Namespace, ip, null),
        }).ToValueList());
    }

    private MeshEndpoint OfEntryWorkload(Reader read, string host, ValueList<ServicePort> ports, Workload workload, Surroundings context) =>
        OfWorkload(read, host, workload, workload.Place, ports.Select(port => JoinedPort.Of(port, workload.Target(port)!.Value)), context) with
        {
            Health = workload.Health, Source = workload.Source,
        };

    /// <summary>All endpoints of a host, cluster by cluster, and their identities.</summary>
    public HostEndpoints Gather(Reader read, ValueList<EndpointSet> sets, MeshService? service)
    {
        var mesh = (read.Get(sources.Settings, "") ?? MeshSettings.Default).Mesh;
        var all = sets.SelectMany(set => set.Endpoints)
            .OrderBy(endpoint => endpoint.Cluster, StringComparer.Ordinal).ThenBy(endpoint => endpoint.Address).ToValueList();
        var identities = new SortedSet<string>(StringComparer.Ordinal);
        var allMtls = all.Count > 0;
        foreach (var endpoint in all)
        {
            if (endpoint.Ports.Any(port => port is { Mtls: false, IsUdp: false })) allMtls = false;
            if (endpoint.ServiceAccount.Length == 0) continue;
            var ns = endpoint.Workload.Namespace.Length > 0 ? endpoint.Workload.Namespace : service?.Namespace ?? endpoint.Source.Namespace;
            foreach (var domain in mesh.TrustDomains) identities.Add($"spiffe://{domain}/ns/{ns}/sa/{endpoint.ServiceAccount}");
        }
        identities.UnionWith(service?.ServiceAccounts ?? default);
        return new(all, identities.ToValueList(), allMtls);
    }
}
