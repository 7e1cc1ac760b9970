using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>Outbound listeners, route tables and the name table of a sidecar scope.</summary>
internal sealed class OutboundPart(ProxyScope scope)
{
    private readonly Dictionary<string, (OutboundListener Plan, MeshConfig Mesh, XdsResource Made)> _listeners = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Host, int Port), (VirtualHostInputs Inputs, ByteString Made)> _virtualHosts = [];
    private readonly Dictionary<string, (List<ByteString> Parts, XdsResource Made)> _tables = new(StringComparer.Ordinal);

    public ResourceSet Listeners { get; private set; } = ResourceSet.Empty;

    public ResourceSet Routes { get; private set; } = ResourceSet.Empty;

    public ResourceSet Names { get; private set; } = ResourceSet.Empty;

    public void Update(MeshView view, IEnumerable<MeshService> services)
    {
        var hosts = services.Select(service => Visible(view, service)).ToList();
        var policy = scope.Sidecar?.OutboundTrafficPolicy ?? view.Mesh.OutboundTrafficPolicy;
        var plans = OutboundPlan.Of(scope, hosts);
        UpdateListeners(plans, view.Mesh.For(scope), policy);
        UpdateRoutes(plans, hosts, view, policy);
        var names = NameTableGenerator.Build(scope, hosts);
        Names = Names.ReplacedBy([EncodedResource.Of(TypeUrls.NameTable, "", names)]);
    }

    private VisibleHost Visible(MeshView view, MeshService service)
    {
        var l4 = L4For(view, service);
        return new(service, service.Headless || service.Pod is not null ? view.EndpointsOf(service.Hostname).Endpoints : default, l4) { IdleTimeouts = view.IdleTimeoutsOf(service, l4 is null ? [] : [l4], scope) };
    }

    private VirtualService? L4For(MeshView view, MeshService service) =>
        view.RoutingFor(service, scope) is { } routing && (!routing.Tls.IsEmpty || !routing.Tcp.IsEmpty) ? routing : null;

    private void UpdateListeners(IReadOnlyList<OutboundListener> plans, MeshConfig mesh, OutboundPolicy policy)
    {
        var settings = mesh with { OutboundTrafficPolicy = policy };
        var made = new List<XdsResource>
        {
            EncodedResource.Of(TypeUrls.Listener, ResourceNames.VirtualOutbound, OutboundListeners.Virtual(mesh, policy)),
        };
        foreach (var plan in plans)
        {
            if (!_listeners.TryGetValue(plan.Name, out var last) || last.Plan != plan || last.Mesh != settings)
            {
                last = (plan, settings, EncodedResource.Of(TypeUrls.Listener, plan.Name, OutboundListeners.Build(plan, mesh, policy, scope.Tracing)));
                _listeners[plan.Name] = last;
            }
            made.Add(last.Made);
        }
        foreach (var name in _listeners.Keys.Except(plans.Select(plan => plan.Name)).ToList()) _listeners.Remove(name);
        Listeners = Listeners.ReplacedBy(made);
    }

    private void UpdateRoutes(IReadOnlyList<OutboundListener> plans, List<VisibleHost> hosts, MeshView view, OutboundPolicy policy)
    {
        var used = new HashSet<(string, int)>();
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
            made.Add(Table(name, port, members, colon > 0, view, policy, used));
        }
        foreach (var stale in _virtualHosts.Keys.Where(key => !used.Contains(key)).ToList()) _virtualHosts.Remove(stale);
        foreach (var stale in _tables.Keys.Except(made.Select(table => table.Name)).ToList()) _tables.Remove(stale);
        Routes = Routes.ReplacedBy(made);
    }

    private XdsResource Table(string name, int port, List<MeshService> members, bool sniffed, MeshView view, OutboundPolicy policy, HashSet<(string, int)> used)
    {
        var parts = new List<ByteString>();
        var domains = new HashSet<string>(StringComparer.Ordinal);
        // The cluster's own hosts first: an address of another cluster must not take the domain of a local host.
        foreach (var service in ServiceAddresses.Ranked(members, service => service, scope))
        {
            used.Add((service.Hostname, port));
            var inputs = Inputs(service, port, sniffed, view);
            if (!sniffed) inputs = inputs with { Taken = Claim(inputs, domains) };
            if (!_virtualHosts.TryGetValue((service.Hostname, port), out var last) || last.Inputs != inputs)
            {
                last = (inputs, RouteGenerator.VirtualHost(inputs).ToByteString());
                _virtualHosts[(service.Hostname, port)] = last;
            }
            parts.Add(last.Made);
        }
        if (!sniffed)
        {
            if (port == 80) AddNameOnly(parts, domains, view, port);
            parts.Add(RouteGenerator.Fallback(policy, scope.Headers).ToByteString());
        }
        if (_tables.TryGetValue(name, out var known) && known.Parts.SequenceEqual(parts)) return known.Made;
        var made = EncodedResource.Of(TypeUrls.Route, name, RouteGenerator.Table(name, parts));
        _tables[name] = (parts, made);
        return made;
    }

    private VirtualHostInputs Inputs(MeshService service, int port, bool sniffed, MeshView view)
    {
        var routing = view.RoutingFor(service, scope) is { Http.IsEmpty: false } found ? found : null;
        return new(scope, view.Mesh, service, port, routing, view.ShapesOf([routing], service, scope), sniffed);
    }

    /// <summary>A table must not contain a domain twice: the first host keeps it. Returns the domains that earlier hosts
    /// already have.</summary>
    private static ValueList<string> Claim(VirtualHostInputs inputs, HashSet<string> domains) =>
        RouteGenerator.Domains(inputs.Service, inputs.Scope, inputs.Port).Where(domain => !domains.Add(domain)).ToValueList();

    /// <summary>Names that only a VirtualService defines are served on port 80, as in Istio.</summary>
    private void AddNameOnly(List<ByteString> parts, HashSet<string> domains, MeshView view, int port)
    {
        foreach (var host in view.Traffic.RoutingsByHost.Keys.Order(StringComparer.Ordinal))
        {
            if (view.Registry.Services.GetValueOrDefault(host)?.Port(port) is not null || view.RoutingFor(host, scope) is not { Http.IsEmpty: false } routing || !routing.Hosts.Contains(host)) continue;
            if (host.StartsWith('*') && view.Registry.Services.Values.Any(service => Hosts.Covers(host, service.Hostname) && service.Port(port) is not null)) continue;
            if (!domains.Add(host)) continue;
            parts.Add(RouteGenerator.NameOnly(host, routing, scope, view.Mesh, port, view.ShapesOf([routing], null, scope)).ToByteString());
        }
    }
}
