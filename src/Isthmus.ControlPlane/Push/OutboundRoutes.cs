using System.Collections.Immutable;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>The route tables of a sidecar scope. A changed VirtualService costs the hosts that it routes, not their tables.</summary>
internal sealed class OutboundRoutes(ProxyScope scope, SharedResources shared)
{
    /// <summary>The port of names that only a VirtualService defines, as in Istio.</summary>
    private const int NameOnlyPort = 80;

    private readonly DomainCaller _domainCaller = scope.DomainCaller();
    private readonly RouteCaller _caller = scope.RouteCaller();
    private ImmutableArray<OutboundTable> _tables = [];
    // Which members of which tables are for a name; scopes with the same tables share it, and the first change makes it.
    private Lazy<ILookup<string, (int Table, int Member)>> _places = PlacesOf([]);

    public ResourceSet Resources { get; private set; } = ResourceSet.Empty;

    public void Update(MeshView view, IReadOnlyList<OutboundListener> plans, List<VisibleHost> hosts, OutboundPolicy policy)
    {
        // Pods of headless hosts have route tables of their own: a client that dials a Pod wants that Pod, whatever the request's host.
        var byPort = hosts.Select(host => host.Service).Where(service => service.Pod is null)
            .SelectMany(service => service.Ports, (service, port) => (port.Number, port.Protocol, Service: service))
            .Where(item => item.Protocol.IsHttp() || item.Protocol == Protocol.Auto)
            .GroupBy(item => item.Number, item => item.Service).ToDictionary(group => group.Key, group => group.ToList());
        var byName = hosts.ToDictionary(host => host.Service.Hostname, host => host.Service, StringComparer.Ordinal);
        Set(plans.Where(plan => plan.RouteName.Length > 0).Select(plan => plan.RouteName).Distinct().Select(name =>
        {
            // A port's table, or HOST:PORT where the host has one for itself.
            var colon = name.LastIndexOf(':');
            var port = int.Parse(name.AsSpan(colon + 1), System.Globalization.CultureInfo.InvariantCulture);
            return colon > 0 ? OfHost(name, port, byName[name[..colon]], view) : OfPort(name, port, byPort.GetValueOrDefault(port) ?? [], view, policy);
        }));
        _places = PlacesOf(_tables);
    }

    /// <summary>Takes over what a scope has that sees the same hosts from another namespace, but for the hosts whose names or routes are others here.</summary>
    /// <returns>False: it has other tables, or routes for other names.</returns>
    public bool TryTakeOver(OutboundRoutes other, MeshView view)
    {
        if (other._tables.Any(table => !HasSameHosts(table, other, view))) return false;
        Set(other._tables.Select(table => TakenOver(table, other, view)));
        _places = other._places;
        return true;
    }

    private OutboundTable TakenOver(OutboundTable known, OutboundRoutes other, MeshView view)
    {
        var changes = ImmutableArray.CreateBuilder<(int, OutboundHost)>();
        foreach (var (at, member) in known.Members.Index())
        {
            var isNamedApart = IsNamedApart(member, known, other);
            if (!isNamedApart && !IsRoutedApart(member, view)) continue;
            changes.Add((at, HostOf(view, known.Port, member.Host, member.Service, isNamedApart ? DomainsOf(member, known.Port) : member.Domains)));
        }
        // The other scope is at this revision, and holds it.
        return changes.Count == 0 && known.TryHold() ? known : known.With(changes.DrainToImmutable());
    }

    /// <summary>Whether a table has the same hosts here, and each of them the domains that it would have without the others.</summary>
    private bool HasSameHosts(OutboundTable table, OutboundRoutes other, MeshView view)
    {
        if (!table.IsOfPort) return true;
        // A name without dots could be that of a Service here in short.
        if (table.Members.Any(member => !member.Host.Contains('.', StringComparison.Ordinal)
            || (IsNamedApart(member, table, other) && other.DomainsOf(member, table.Port).Count != member.Domains.Count))) return false;
        if (table.Port != NameOnlyPort) return true;
        var names = table.Members.Where(member => member.Service is null).Select(member => member.Host).ToHashSet(StringComparer.Ordinal);
        return view.Traffic.RoutingsByHost.Keys.All(host => IsNameOnly(view, host) == names.Contains(host));
    }

    /// <summary>Whether workloads of one of the two namespaces have a short name for a host.</summary>
    private bool IsNamedApart(OutboundHost member, OutboundTable table, OutboundRoutes other) => table.IsOfPort
        && (IsIn(member.Host, _domainCaller.Domain) || IsIn(member.Host, other._domainCaller.Domain));

    private static bool IsIn(string host, string domain) => host.EndsWith(domain, StringComparison.Ordinal) && host.Length > domain.Length
        && host[^(domain.Length + 1)] == '.';

    private ValueList<string> DomainsOf(OutboundHost member, int port) => (member.Service is { } service
        ? RouteGenerator.Domains(service, _domainCaller, port) : RouteGenerator.Domains(member.Host, _domainCaller, port)).ToValueList();

    /// <summary>Whether a host has other routes here, or DestinationRules that may be others are part of them.</summary>
    private bool IsRoutedApart(OutboundHost member, MeshView view)
    {
        var found = member.Service is { } service ? view.RoutingFor(service, scope) : view.RoutingFor(member.Host, scope);
        var (routing, inputs) = (found is { Rules.IsEmpty: false } ? found : null, member.Part.Inputs);
        return !ReferenceEquals(routing, inputs.Routing)
            || (routing is not null && (!view.Traffic.Rules.IsEmpty || _caller.For(routing) != inputs.Caller));
    }

    /// <summary>The hosts that routes lead to.</summary>
    public IEnumerable<string> Destinations =>
        _tables.SelectMany(table => table.Members).SelectMany(member => member.Part.Inputs.Routing?.HttpDestinations ?? []);

    /// <summary>VirtualServices changed that route these hosts, which may be wildcards, or DestinationRules of hosts, and nothing else.</summary>
    /// <returns>False: the change is not one of routes only, so that all tables have to be made anew.</returns>
    public bool TryUpdate(MeshView view, RoutedHosts routed, IReadOnlySet<string> ruled)
    {
        if (_tables.FirstOrDefault(table => table.Port == NameOnlyPort && table.IsOfPort) is { } named
            && !routed.All(host => HasSameNames(view, named, host))) return false;
        var made = new List<XdsResource>();
        foreach (var places in MembersFor(routed, ruled).GroupBy(place => place.Table, place => place.Member))
        {
            var before = _tables[places.Key];
            var changes = ImmutableArray.CreateBuilder<(int, OutboundHost)>();
            foreach (var at in places)
            {
                var member = before.Members[at];
                var host = HostOf(view, before.Port, member.Host, member.Service, member.Domains);
                if (ReferenceEquals(host.Part, member.Part)) shared.VirtualHosts.Return(host.Part);
                else changes.Add((at, host));
            }
            if (changes.Count == 0) continue;
            var after = before.With(changes.DrainToImmutable());
            _tables = _tables.SetItem(places.Key, after);
            before.Return();
            made.Add(after.Resource);
        }
        Resources = shared.Sets.Of(Resources.With([], made.Where(table => Resources.Items[table.Name].Version != table.Version)));
        return true;
    }

    /// <summary>The members that changed routes or DestinationRules are for: found by name, unless any of them may be.</summary>
    private IEnumerable<(int Table, int Member)> MembersFor(RoutedHosts routed, IReadOnlySet<string> ruled) =>
        ruled.Count == 0 && !routed.HasWildcards
            ? routed.In(_places).Distinct()
            : _tables.Index().SelectMany(table => table.Item.Members.Index(), (table, member) => (Table: table.Index, Member: member.Index, member.Item))
                .Where(place => (place.Item.Service is { } service ? routed.Concern(service) : routed.Concern(place.Item.Host))
                    || IsRuled(place.Item, ruled)).Select(place => (place.Table, place.Member));

    private static Lazy<ILookup<string, (int Table, int Member)>> PlacesOf(ImmutableArray<OutboundTable> tables) => new(() => RoutedHosts.ByName(
        tables.Index().SelectMany(table => table.Item.Members.Index(), (table, member) => (Table: table.Index, Member: member.Index)),
        place => tables[place.Table].Members[place.Member].Host, place => tables[place.Table].Members[place.Member].Service));

    /// <summary>Whether it is made of a DestinationRule for one of these hosts.</summary>
    private static bool IsRuled(OutboundHost member, IReadOnlySet<string> ruled) => ruled.Count > 0
        && (ruled.Contains(member.Host) || member.Part.Inputs.Routing?.HttpDestinations.Any(ruled.Contains) == true);

    /// <summary>Nobody has the scope any more.</summary>
    public void Release()
    {
        foreach (var table in _tables) table.Return();
        _tables = [];
        _places = PlacesOf([]);
    }

    /// <summary>Whether the table of names has the name, or lacks it, now as before.</summary>
    private bool HasSameNames(MeshView view, OutboundTable table, string host)
    {
        if (host.StartsWith('*')) return false;
        var isKnown = _places.Value[host].Any(place => ReferenceEquals(_tables[place.Table], table) && table.Members[place.Member].Service is null);
        return IsNameOnly(view, host) == isKnown;
    }

    private OutboundTable OfHost(string name, int port, MeshService service, MeshView view) =>
        new(shared, name, port, null, [HostOf(view, port, service.Hostname, service, ["*"])]);

    private OutboundTable OfPort(string name, int port, List<MeshService> services, MeshView view, OutboundPolicy policy)
    {
        var members = ImmutableArray.CreateBuilder<OutboundHost>(services.Count);
        // A table must not contain a domain twice: the first host keeps it.
        var domains = new HashSet<string>(StringComparer.Ordinal);
        // The cluster's own hosts first: an address of another cluster must not take the domain of a local host.
        foreach (var service in ServiceAddresses.Ranked(services, service => service, _domainCaller.Addresses.Cluster))
            members.Add(HostOf(view, port, service.Hostname, service, RouteGenerator.Domains(service, _domainCaller, port).Where(domains.Add).ToValueList()));
        if (port == NameOnlyPort)
        {
            foreach (var host in view.Traffic.RoutingsByHost.Keys.Order(StringComparer.Ordinal))
                if (IsNameOnly(view, host) && domains.Add(host))
                    members.Add(HostOf(view, port, host, null, RouteGenerator.Domains(host, _domainCaller, port).ToValueList()));
        }
        return new(shared, name, port, shared.Fallbacks.Take(new(policy, _caller.CountsAttempts)), members.DrainToImmutable());
    }

    private bool IsNameOnly(MeshView view, string host) =>
        view.Registry.Services.GetValueOrDefault(host)?.Port(NameOnlyPort) is null
        && view.RoutingFor(host, scope) is { Rules.IsEmpty: false } routing && routing.Hosts.Contains(host)
        && !(host.StartsWith('*') && IsCovered(view, host));

    private static bool IsCovered(MeshView view, string wildcard) =>
        view.Registry.Services.Values.Any(service => Hosts.Covers(wildcard, service.Hostname) && service.Port(NameOnlyPort) is not null);

    /// <summary>A host with its routes here, which the caller holds from now on.</summary>
    private OutboundHost HostOf(MeshView view, int port, string host, MeshService? service, ValueList<string> domains)
    {
        var found = service is null ? view.RoutingFor(host, scope) : view.RoutingFor(service, scope);
        var routing = found is { Rules.IsEmpty: false } ? found : null;
        return new(host, service, domains, shared.VirtualHosts.Take(
            new(_caller.For(routing), view.Mesh, host, port, domains, routing, view.ShapesOf([routing], service, scope))));
    }

    /// <param name="tables">It holds each of them as soon as it is there.</param>
    private void Set(IEnumerable<OutboundTable> tables)
    {
        var made = ImmutableArray.CreateBuilder<OutboundTable>();
        try
        {
            foreach (var table in tables) made.Add(table);
            Resources = shared.Sets.Of(Resources.ReplacedBy([.. made.Select(table => table.Resource)]));
        }
        catch
        {
            foreach (var table in made) table.Return();
            throw;
        }
        var before = _tables;
        _tables = made.DrainToImmutable();
        foreach (var table in before) table.Return();
    }
}

/// <summary>The hosts that changed VirtualServices route, as they name them.</summary>
internal sealed class RoutedHosts(IReadOnlySet<string> names)
{
    private readonly string[] _wildcards = [.. names.Where(name => name.StartsWith('*'))];

    public bool IsEmpty => names.Count == 0;

    public bool HasWildcards => _wildcards.Length > 0;

    /// <summary>What is for the names, which are not wildcards.</summary>
    public IEnumerable<T> In<T>(Lazy<ILookup<string, T>> byName) => names.SelectMany(name => byName.Value[name]);

    /// <summary>Items by the names for which routes <see cref="Concern(MeshService)">concern</see> them.</summary>
    /// <param name="service">Null: it is only a name.</param>
    public static ILookup<string, T> ByName<T>(IEnumerable<T> items, Func<T, string> host, Func<T, MeshService?> service) => items
        .SelectMany(item => service(item)?.Pod is { } pod ? [host(item), pod.PlainName] : (string[])[host(item)], (item, name) => (item, name))
        .ToLookup(item => item.name, item => item.item, StringComparer.Ordinal);

    public bool All(Func<string, bool> holds) => names.All(holds);

    public bool Concern(string host) => names.Contains(host) || Array.Exists(_wildcards, wildcard => Hosts.Covers(wildcard, host));

    /// <summary>A Pod's name may be given with or without its cluster.</summary>
    public bool Concern(MeshService service) => Concern(service.Hostname) || (service.Pod is { } pod && Concern(pod.PlainName));
}
