using System.Globalization;
using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>What one proxy gets, as keys of shared resources.</summary>
/// <param name="Inbound">For sidecars.</param>
/// <param name="Gateway">For gateways.</param>
public sealed record ResolvedProxy(ProxyScope Scope, InboundScope? Inbound, GatewayScope? Gateway);

/// <summary>Finds the scope of a proxy.</summary>
public static class ScopeResolver
{
    public static ResolvedProxy Resolve(ProxyIdentity proxy, MeshReads mesh)
    {
        var (workload, labels, _) = ClaimedWorkload.Of(proxy, mesh);
        var sidecar = SidecarOf(proxy, labels, mesh);
        var patches = EnvoyFilter.PatchesFor(mesh.FiltersFor(proxy.Namespace), proxy, mesh.Mesh.RootNamespace, labels);
        var context = proxy.Kind == ProxyKind.Sidecar ? PatchContext.SidecarOutbound : PatchContext.Gateway;
        var scope = new ProxyScope(
            proxy.Kind, proxy.Cluster, proxy.Network, proxy.Namespace, proxy.Domain,
            labels.Where(label => mesh.Counts(CallerTrait.OfLabel(label.Key))).ToValueMap(), sidecar)
        {
            NetworkView = proxy.NetworkView,
            DnsCapture = proxy.DnsCapture,
            DnsAutoAllocate = proxy.DnsAutoAllocate,
            Locality = mesh.Counts(new(CallerFact.Locality)) ? LocalityOf(proxy, workload, labels, mesh) : Locality.Unknown,
            Node = mesh.Counts(new(CallerFact.Node)) ? NodeOf(proxy, workload).Name : "",
            Family = FamilyOf(proxy),
            Software = proxy.Software,
            SendsTunnels = mesh.Mesh.Tunnels.Sends && proxy.Software.HasTunnels && !proxy.SendsNoTunnels,
            Plugins = proxy.Software.RunsWasm ? WasmPlugin.For(mesh.PluginsFor(proxy.Namespace), proxy.Namespace, mesh.Mesh.RootNamespace, labels) : default,
            AcceptsHttp10 = proxy.AcceptsHttp10,
            Headers = proxy.Headers ?? mesh.Mesh.ProxyHeaders,
            Connections = (proxy.Connections ?? mesh.Mesh.Connections).For(proxy.Kind),
            Patches = patches.Where(patch => patch.IsFor(context)).ToValueList(),
        };
        var telemetries = mesh.TelemetriesOf(scope.Namespace, labels).ToList();
        var (tracing, logs) = (TraceResolver.Of(proxy, telemetries, scope, mesh), LogResolver.Of(telemetries, scope, mesh));
        var metrics = MetricResolver.Of(telemetries, mesh.Mesh);
        scope = scope with { Tracing = tracing.OfClient, Logs = logs.OfClient, Metrics = metrics.OfClient };
        var services = ServicesOf(proxy, labels, mesh);
        return proxy.Kind == ProxyKind.Sidecar
            ? new(scope,
                Inbound(services, workload, labels, scope,
                    mesh) with
                    {
                        Tunnelled = mesh.Mesh.Tunnels.Listens && proxy.Software.HasTunnels && proxy.AcceptsTunnels ? proxy.Addresses : default,
                        Own = mesh.Counts(new(CallerFact.Zones)) ? OwnHost(services, scope) : null,
                        Tracing = tracing.OfServer, Logs = logs.OfServer, Metrics = metrics.OfServer,
                        Patches = patches.Where(patch => patch.IsFor(PatchContext.SidecarInbound)).ToValueList()
                    },
                null)
            : OfGateway(scope, GatewaysOf(proxy, services, workload, labels, scope, mesh));
    }

    private static List<ClusterService> ServicesOf(ProxyIdentity proxy, ValueMap<string> labels, MeshReads mesh) =>
    [
        .. mesh.ServicesIn(proxy.Cluster, proxy.Namespace).Where(service => service.Selector.Count > 0 && Selectors.Matches(service.Selector, labels))
            .OrderBy(service => service.CreatedAt).ThenBy(service => service.Name, StringComparer.Ordinal),
    ];

    /// <summary>The ports of Services that declare ports of a sidecar's workload; none if a Sidecar declares these.</summary>
    internal static IEnumerable<(ClusterService Service, ServicePort Port, int Target)> PortsOf(ProxyIdentity proxy, MeshReads mesh)
    {
        var (workload, labels, _) = ClaimedWorkload.Of(proxy, mesh);
        return proxy.Kind != ProxyKind.Sidecar || SidecarOf(proxy, labels, mesh) is { Ingress.IsEmpty: false } ? []
            : ServicesOf(proxy, labels, mesh).SelectMany(service => service.Ports, (service, port) => (service, port))
                .Where(found => found.port.Protocol != Protocol.Udp)
                .SelectMany(found => TargetOf(found.port, workload) is { } target ? [(found.service, found.port, target)]
                    : Array.Empty<(ClusterService, ServicePort, int)>());
    }

    /// <summary>The Node that a proxy runs on, as its Pod names it, or else the proxy itself.</summary>
    private static ObjectKey NodeOf(ProxyIdentity proxy, Workload? workload) =>
        new(proxy.Cluster, "", workload?.Node is { Length: > 0 } named ? named : proxy.NodeName);

    private static AddressFamily? FamilyOf(ProxyIdentity proxy)
    {
        var families = proxy.Addresses.Select(address => address.Family).Distinct().ToList();
        return families is [var only] ? only : null;
    }

    private static Locality LocalityOf(ProxyIdentity proxy, Workload? workload, ValueMap<string> labels, MeshReads mesh)
    {
        if (!proxy.Locality.IsUnknown) return proxy.Locality;
        if ((workload?.Locality ?? Locality.OfLabels(labels)) is { } own) return own;
        return mesh.Node(NodeOf(proxy, workload))?.Locality ?? Locality.Unknown;
    }

    /// <summary>The Sidecar resource that applies to a proxy; null when none does.</summary>
    public static Sidecar? SidecarOf(ProxyIdentity proxy, MeshReads mesh) => SidecarOf(proxy, ClaimedWorkload.Of(proxy, mesh).Labels, mesh);

    private static Sidecar? SidecarOf(ProxyIdentity proxy, ValueMap<string> labels, MeshReads mesh) =>
        proxy.Kind == ProxyKind.Sidecar ? SidecarFor(proxy.Namespace, labels, mesh) : null;

    /// <summary>One that selects the workload, then the namespace's default, then the root namespace's; the oldest of each.</summary>
    private static Sidecar? SidecarFor(string ns, ValueMap<string> labels, MeshReads mesh)
    {
        var local = mesh.SidecarsIn(ns).OrderBy(sidecar => sidecar.CreatedAt).ThenBy(sidecar => sidecar.Source).ToList();
        return local.FirstOrDefault(sidecar => sidecar.Selector.Count > 0 && Selectors.Matches(sidecar.Selector, labels))
            ?? local.FirstOrDefault(sidecar => sidecar.Selector.Count == 0)
            ?? mesh.SidecarsIn(mesh.Mesh.RootNamespace).Where(sidecar => sidecar.Selector.Count == 0)
                .OrderBy(sidecar => sidecar.CreatedAt).ThenBy(sidecar => sidecar.Source).FirstOrDefault();
    }

    /// <summary>The oldest Service of the workload.</summary>
    private static OwnHost? OwnHost(List<ClusterService> services, ProxyScope scope) =>
        services.SelectMany(service => service.Ports.Select(port => (service.Hostname, port)))
            .FirstOrDefault(item => item.port.Protocol != Protocol.Udp) is { Hostname: { } host } first
            ? new(host, first.port.Number, scope.Locality.Region ?? "") : null;

    private static InboundScope Inbound(List<ClusterService> services, Workload? workload, ValueMap<string> labels, ProxyScope scope, MeshReads mesh)
    {
        var ns = scope.Namespace;
        var root = mesh.Mesh.RootNamespace;
        var mtls = MtlsPolicy.Resolve(mesh.PeersIn(root), root == ns ? default : mesh.PeersIn(ns), labels);
        var ports = new SortedDictionary<int, InboundPort>();
        if (scope.Sidecar is { Ingress.IsEmpty: false } sidecar)
        {
            foreach (var ingress in sidecar.Ingress)
                ports[ingress.Port] = new(ingress.Port, ingress.Protocol, mtls.ForPort(ingress.Port), default, ingress.DefaultEndpoint,
                    (ingress.Pool ?? sidecar.InboundPool ?? mesh.Mesh.DefaultPolicy.Pool) is { } pool ? new(null, pool) : null)
                    {
                        IsBlocked = ingress.IsBlocked
                    };
            AddOthers(ports, mtls);
            return new(ports.Values.ToValueList(), mtls.Mode,
                mesh.SecurityOf(scope, labels))
                {
                    Software = scope.Software, Plugins = scope.Plugins, AcceptsHttp10 = scope.AcceptsHttp10, Headers = scope.Headers,
                    Connections = scope.Connections
                };
        }
        foreach (var service in services)
        {
            foreach (var port in service.Ports)
            {
                if (port.Protocol == Protocol.Udp || TargetOf(port, workload) is not { } target) continue;
                var host = new InboundHost(service.Hostname, service.Name, service.Namespace, port.Number);
                ports[target] = ports.TryGetValue(target, out var known)
                    ? known.Hosts.Any(other => other.Hostname == host.Hostname) ? known : known with { Hosts = known.Hosts.Append(host).ToValueList() }
                    : new(target, port.Protocol, mtls.ForPort(target), [host], null, LimitsOf(host, scope, mesh));
            }
        }
        AddOthers(ports, mtls);
        return new(ports.Values.ToValueList(), mtls.Mode,
            mesh.SecurityOf(scope, labels))
            {
                Software = scope.Software, Plugins = scope.Plugins, AcceptsHttp10 = scope.AcceptsHttp10, Headers = scope.Headers,
                Connections = scope.Connections
            };
    }

    /// <summary>Adds the ports that have a mode of their own, and that no Service names.</summary>
    private static void AddOthers(SortedDictionary<int, InboundPort> ports, MtlsPolicy mtls)
    {
        foreach (var (name, _) in mtls.Ports.Items)
        {
            if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && mtls.ForPort(port) is var mode && mode != mtls.Mode)
                ports.TryAdd(port, new(port, Protocol.Auto, mode, default) { IsUnnamed = true });
        }
    }

    private static InboundLimits? LimitsOf(InboundHost host, ProxyScope scope, MeshReads mesh)
    {
        var (own, rest) = (scope.Sidecar?.InboundPool, mesh.Mesh.DefaultPolicy.Pool);
        return mesh.Service(host.Hostname) is { } service && mesh.RuleFor(service, scope) is { } rule
            && rule.Policy != TrafficPolicy.None
            ? new(rule.Source, own ?? rule.Policy.ForPort(host.ServicePort).Pool ?? rest)
            : (own ?? rest) is { } pool ? new(null, pool) : null;
    }

    /// <summary>The port at the workload; null when it is a name and the workload has no port with that name.</summary>
    private static int? TargetOf(ServicePort port, Workload? workload) => workload is not null ? workload.Target(port)
        : port.TargetPort.Length == 0
        ? port.Number
        : int.TryParse(port.TargetPort, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : null;

    private static ResolvedProxy OfGateway(ProxyScope scope, GatewayScope gateway) =>
        new(scope with { ClientCredential = gateway.Gateways.Select(item => item.BackendCredential?.Resource).FirstOrDefault(name => name is not null) ?? "" },
            null, gateway);

    private static GatewayScope GatewaysOf(ProxyIdentity proxy, List<ClusterService> services, Workload? workload, ValueMap<string> labels, ProxyScope scope,
        MeshReads mesh)
    {
        var gateways = mesh.GatewaysFor(labels).Where(gateway => (gateway.PodNamespace.Length == 0 || gateway.PodNamespace == scope.Namespace)
            && Selectors.Matches(gateway.Selector, labels))
            .OrderBy(gateway => gateway.CreatedAt).ThenBy(gateway => gateway.Source).ToValueList();
        ValueList<PortMapping> Ports(bool udp) => services.SelectMany(service => service.Ports).Where(port => port.Protocol == Protocol.Udp == udp)
            .Select(port => (port.Number, Target: TargetOf(port, workload))).Where(port => port.Target is not null)
            .Select(port => new PortMapping(port.Number, port.Target!.Value)).Distinct().ToValueList();
        return new(
            gateways, Ports(udp: false), proxy.SniDnat,
            proxy.SniDnat ? EnvoyFilter.RewritesFor(mesh.FiltersFor(proxy.Namespace), proxy.Namespace, mesh.Mesh.RootNamespace, labels) : default,
            mesh.SecurityOf(scope, labels)) { Topology = proxy.Topology
                ?? mesh.Mesh.GatewayTopology, UdpPorts = mesh.Mesh.QuicListeners && proxy.Software.HasQuic
                ? Ports(udp: true)
                : default,
            DatagramPorts = gateways.Any(gateway => gateway.Servers.Any(server => server.Protocol == Protocol.Udp)) ? Ports(udp: true) : default };
    }
}

/// <summary>Which hosts are visible to the proxies of a Sidecar resource, and with which ports.</summary>
public static class SidecarHosts
{
    /// <summary>The service with the ports that the scope sees; null when it sees none.</summary>
    public static MeshService? Visible(ProxyScope scope, MeshService service)
    {
        if (!service.VisibleTo(scope.Namespace) || (service.Pod is { } behind && !Needs(scope, behind))) return null;
        if (scope.Sidecar is not { Egress.IsEmpty: false } sidecar) return service;
        // A listener without a port is for the ports that no other listener names.
        var others = sidecar.Egress.Any(egress => egress.Port == 0 && Selects(egress, scope, service));
        var hasPorts = sidecar.Egress.Any(egress => egress.Port != 0);
        if (!hasPorts) return others ? service : null;
        var seen = service.Ports.SelectMany(SeenAs).ToValueList();
        return seen.IsEmpty ? null : seen.Equals(service.Ports) ? service : service with { Ports = seen };

        IEnumerable<ServicePort> SeenAs(ServicePort port) => !sidecar.Egress.Any(egress => egress.Port == port.Number) ? others ? [port] : []
            : sidecar.Egress.FirstOrDefault(egress => egress.Port == port.Number && Selects(egress, scope, service)) is { } narrow
            ? [Spoken(port, narrow.Protocol)] : [];
    }

    /// <summary>A port with the protocol of the Sidecar's listener. Which version of HTTP the endpoints speak, only their Service says.</summary>
    private static ServicePort Spoken(ServicePort port, Protocol declared) => declared is Protocol.Auto or Protocol.Udp || declared == port.Protocol
        || port.Protocol == Protocol.Udp || (declared.IsHttp() && port.Protocol.IsHttp()) ? port
        : port with { Protocol = declared.IsHttp() ? Protocol.Http : declared };

    private static bool Selects(SidecarEgress egress, ProxyScope scope, MeshService service)
    {
        var host = service.Pod?.Hostname ?? service.Hostname;
        var isSelected = false;
        foreach (var entry in egress.Hosts)
        {
            if (!entry.StartsWith('~')) isSelected |= Selects(entry, scope.Namespace, service.Namespace, host);
            else if (Selects(entry[1..], scope.Namespace, service.Namespace, host)) return false;
        }
        return isSelected;
    }

    /// <summary>
    /// A Pod is a host of its own for proxies that cannot dial it: sidecars of other networks, if their applications can
    /// resolve the address allocated for it; and gateways of its network, which identify it by SNI.
    /// </summary>
    private static bool Needs(ProxyScope scope, HeadlessPod pod) => scope.Kind == ProxyKind.Router
        ? scope.Network == pod.Network
        : !pod.OnlyForGateways && scope.DnsCapture && scope.Network.Length > 0 && scope.Network != pod.Network
            && (scope.NetworkView.IsEmpty || scope.NetworkView.Contains(pod.Network));

    private static bool Selects(string entry, string own, string ns, string host)
    {
        var slash = entry.IndexOf('/', StringComparison.Ordinal);
        var wanted = entry[..Math.Max(0, slash)];
        if (wanted is not ("*" or "") && (wanted == "." ? own : wanted) != ns) return false;
        return Hosts.Covers(entry[(slash + 1)..], host);
    }
}
