using System.Collections.Immutable;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>Outbound listeners, route tables and the name table of a sidecar scope.</summary>
internal sealed class OutboundPart(ProxyScope scope, SharedResources shared)
{
    // What the scope holds; each update takes what it needs before it returns what it had, so that nothing is made twice.
    private Held _held = new();

    /// <summary>Entries of shared tables.</summary>
    private sealed class Held
    {
        public List<SharedTable<VirtualHostInputs, ByteString>.Entry> Hosts { get; } = [];
        public List<SharedTable<(OutboundPolicy, ProxyHeaders), ByteString>.Entry> Fallbacks { get; } = [];
        public List<SharedTable<RouteTableInputs, XdsResource>.Entry> Tables { get; } = [];
        public List<SharedTable<ListenerInputs, XdsResource>.Entry> Listeners { get; } = [];
        public List<SharedTable<XdsResource, XdsResource>.Entry> Names { get; } = [];

        public static SharedTable<TInputs, TMade>.Entry Take<TInputs, TMade>(SharedTable<TInputs, TMade> table, List<SharedTable<TInputs, TMade>.Entry> held, TInputs inputs)
            where TInputs : notnull
        {
            var entry = table.Take(inputs);
            held.Add(entry);
            return entry;
        }

        public void Return(SharedResources shared)
        {
            Hosts.ForEach(shared.VirtualHosts.Return);
            Fallbacks.ForEach(shared.Fallbacks.Return);
            Tables.ForEach(shared.RouteTables.Return);
            Listeners.ForEach(shared.Listeners.Return);
            Names.ForEach(shared.NameTables.Return);
        }
    }

    public ResourceSet Listeners { get; private set; } = ResourceSet.Empty;

    public ResourceSet Routes { get; private set; } = ResourceSet.Empty;

    public ResourceSet Names { get; private set; } = ResourceSet.Empty;

    public void Update(MeshView view, IEnumerable<MeshService> services)
    {
        var hosts = services.Select(service => Visible(view, service)).ToList();
        var policy = scope.Sidecar?.OutboundTrafficPolicy ?? view.Mesh.OutboundTrafficPolicy;
        var plans = OutboundPlan.Of(scope, hosts);
        var before = _held;
        _held = new();
        UpdateListeners(plans, view.Mesh.For(scope), policy);
        UpdateRoutes(plans, hosts, view, policy);
        var names = EncodedResource.Of(TypeUrls.NameTable, "", NameTableGenerator.Build(scope, hosts));
        Names = Names.ReplacedBy([Held.Take(shared.NameTables, _held.Names, names).Made]);
        before.Return(shared);
    }

    /// <summary>Nobody has the scope any more.</summary>
    public void Release() => _held.Return(shared);

    private VisibleHost Visible(MeshView view, MeshService service)
    {
        var l4 = L4For(view, service);
        return new(service, service.Headless || service.Pod is not null ? view.EndpointsOf(service.Hostname).Endpoints : default, l4) { IdleTimeouts = view.IdleTimeoutsOf(service, l4 is null ? [] : [l4], scope) };
    }

    private RouteSet? L4For(MeshView view, MeshService service) =>
        view.RoutingFor(service, scope) is { } routing && (!routing.Tls.IsEmpty || !routing.Tcp.IsEmpty) ? routing : null;

    private void UpdateListeners(IReadOnlyList<OutboundListener> plans, MeshConfig mesh, OutboundPolicy policy)
    {
        var settings = mesh with { OutboundTrafficPolicy = policy };
        var made = new List<XdsResource>
        {
            EncodedResource.Of(TypeUrls.Listener, ResourceNames.VirtualOutbound, OutboundListeners.Virtual(settings, policy, scope.Tracing)),
        };
        made.AddRange(plans.Select(plan => Held.Take(shared.Listeners, _held.Listeners, new(plan, settings, policy, scope.Tracing)).Made));
        Listeners = shared.Sets.Of(Listeners.ReplacedBy(made));
    }

    private void UpdateRoutes(IReadOnlyList<OutboundListener> plans, List<VisibleHost> hosts, MeshView view, OutboundPolicy policy)
    {
        var made = new List<XdsResource>();
        // Pods of headless hosts have route tables of their own: a client that dials a Pod wants that Pod, whatever the request's host.
        var byPort = hosts.Where(host => host.Service.Pod is null).SelectMany(host => host.Service.Ports.Where(port => port.Protocol.IsHttp() || port.Protocol == Protocol.Auto).Select(port => (port.Number, host.Service)))
            .GroupBy(item => item.Number, item => item.Service).ToDictionary(group => group.Key, group => group.ToList());
        var byName = hosts.ToDictionary(host => host.Service.Hostname, host => host.Service, StringComparer.Ordinal);
        foreach (var name in plans.Where(plan => plan.RouteName.Length > 0).Select(plan => plan.RouteName).Distinct())
        {
            // A port's table, or HOST:PORT where the host has one for itself.
            var colon = name.LastIndexOf(':');
            var port = int.Parse(name.AsSpan(colon + 1), System.Globalization.CultureInfo.InvariantCulture);
            var members = colon > 0 ? [byName[name[..colon]]] : byPort.GetValueOrDefault(port) ?? [];
            made.Add(Table(name, port, members, colon > 0, view, policy));
        }
        Routes = Routes.ReplacedBy(made);
    }

    private XdsResource Table(string name, int port, List<MeshService> members, bool sniffed, MeshView view, OutboundPolicy policy)
    {
        var parts = ImmutableArray.CreateBuilder<ByteString>();
        // A table must not contain a domain twice: the first host keeps it.
        var domains = new HashSet<string>(StringComparer.Ordinal);
        // The cluster's own hosts first: an address of another cluster must not take the domain of a local host.
        foreach (var service in ServiceAddresses.Ranked(members, service => service, scope))
        {
            var routing = view.RoutingFor(service, scope) is { Rules.IsEmpty: false } found ? found : null;
            ValueList<string> own = sniffed ? ["*"] : RouteGenerator.Domains(service, scope, port).Where(domains.Add).ToValueList();
            parts.Add(Host(service.Hostname, port, own, routing, view.ShapesOf([routing], service, scope), view.Mesh));
        }
        if (!sniffed)
        {
            if (port == 80) AddNameOnly(parts, domains, view, port);
            parts.Add(Held.Take(shared.Fallbacks, _held.Fallbacks, (policy, scope.Headers)).Made);
        }
        return Held.Take(shared.RouteTables, _held.Tables, new(name, parts.DrainToImmutable())).Made;
    }

    private ByteString Host(string name, int port, ValueList<string> domains, RouteSet? routing, ValueMap<DestinationShape> destinations, MeshConfig mesh) =>
        Held.Take(shared.VirtualHosts, _held.Hosts, new(RouteCaller.Of(scope, routing), mesh, name, port, domains, routing, destinations)).Made;

    /// <summary>Names that only a VirtualService defines are served on port 80, as in Istio.</summary>
    private void AddNameOnly(ImmutableArray<ByteString>.Builder parts, HashSet<string> domains, MeshView view, int port)
    {
        foreach (var host in view.Traffic.RoutingsByHost.Keys.Order(StringComparer.Ordinal))
        {
            if (view.Registry.Services.GetValueOrDefault(host)?.Port(port) is not null || view.RoutingFor(host, scope) is not { Rules.IsEmpty: false } routing || !routing.Hosts.Contains(host)) continue;
            if (host.StartsWith('*') && view.Registry.Services.Values.Any(service => Hosts.Covers(host, service.Hostname) && service.Port(port) is not null)) continue;
            if (!domains.Add(host)) continue;
            parts.Add(Host(host, port, RouteGenerator.Domains(host, scope, port).ToValueList(), routing, view.ShapesOf([routing], null, scope), view.Mesh));
        }
    }
}
