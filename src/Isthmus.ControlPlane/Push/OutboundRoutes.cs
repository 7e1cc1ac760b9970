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

    private readonly string _domain = scope.Domain;
    private List<Table> _tables = [];
    // Which members of which tables are for a name; scopes with the same tables share it, and the first change makes it.
    private Lazy<ILookup<string, (int Table, int Member)>> _places = PlacesOf([]);

    public ResourceSet Resources { get; private set; } = ResourceSet.Empty;

    /// <param name="Service">Null for a name that only a VirtualService defines.</param>
    /// <param name="Domains">What is left of its domains: a table must not contain one twice.</param>
    private sealed record Member(string Host, MeshService? Service, ValueList<string> Domains)
    {
        public required SharedTable<VirtualHostInputs, EncodedPart>.Entry Part { get; set; }
    }

    private sealed record Table(string Name, int Port, SharedTable<(OutboundPolicy, ProxyHeaders), EncodedPart>.Entry? Fallback)
    {
        public List<Member> Members { get; } = [];

        public SharedTable<RouteTableInputs, XdsResource>.Entry? Made { get; set; }
    }

    public void Update(MeshView view, IReadOnlyList<OutboundListener> plans, List<VisibleHost> hosts, OutboundPolicy policy)
    {
        var before = _tables;
        _tables = [];
        // Pods of headless hosts have route tables of their own: a client that dials a Pod wants that Pod, whatever the request's host.
        var byPort = hosts.Select(host => host.Service).Where(service => service.Pod is null)
            .SelectMany(service => service.Ports, (service, port) => (port.Number, port.Protocol, Service: service))
            .Where(item => item.Protocol.IsHttp() || item.Protocol == Protocol.Auto)
            .GroupBy(item => item.Number, item => item.Service).ToDictionary(group => group.Key, group => group.ToList());
        var byName = hosts.ToDictionary(host => host.Service.Hostname, host => host.Service, StringComparer.Ordinal);
        foreach (var name in plans.Where(plan => plan.RouteName.Length > 0).Select(plan => plan.RouteName).Distinct())
        {
            // A port's table, or HOST:PORT where the host has one for itself.
            var colon = name.LastIndexOf(':');
            var port = int.Parse(name.AsSpan(colon + 1), System.Globalization.CultureInfo.InvariantCulture);
            if (colon > 0) _tables.Add(OfHost(name, port, byName[name[..colon]], view));
            else _tables.Add(OfPort(name, port, byPort.GetValueOrDefault(port) ?? [], view, policy));
        }
        _places = PlacesOf(_tables);
        Encode(_tables);
        Return(before);
    }

    /// <summary>Takes over what a scope has that sees the same hosts from another namespace, but for the hosts whose names or routes are others here.</summary>
    /// <returns>False: it has other tables, or routes for other names.</returns>
    public bool TryTakeOver(OutboundRoutes other, MeshView view)
    {
        if (other._tables.Exists(table => !HasSameHosts(table, other, view))) return false;
        var before = _tables;
        _tables = [];
        foreach (var known in other._tables)
        {
            var table = new Table(known.Name, known.Port, known.Fallback);
            if (known.Fallback is { } fallback) shared.Fallbacks.Keep([fallback]);
            var changed = known.Members.Select(member => IsNamedApart(member, known, other) || IsRoutedApart(member, view)).ToArray();
            shared.VirtualHosts.Keep(known.Members.Where((_, at) => !changed[at]).Select(member => member.Part));
            foreach (var (at, member) in known.Members.Index())
            {
                if (!changed[at]) table.Members.Add(new(member.Host, member.Service, member.Domains) { Part = member.Part });
                else Add(table, view, member.Host, member.Service, IsNamedApart(member, known, other) ? DomainsOf(member, known.Port) : member.Domains);
            }
            _tables.Add(table);
        }
        _places = other._places;
        Encode(_tables);
        Return(before);
        return true;
    }

    /// <summary>Whether a table has the same hosts here, and each of them the domains that it would have without the others.</summary>
    private bool HasSameHosts(Table table, OutboundRoutes other, MeshView view)
    {
        if (table.Fallback is null) return true;
        // A name without dots could be that of a Service here in short.
        if (table.Members.Exists(member => !member.Host.Contains('.', StringComparison.Ordinal)
            || (IsNamedApart(member, table, other) && other.DomainsOf(member, table.Port).Count != member.Domains.Count))) return false;
        if (table.Port != NameOnlyPort) return true;
        var names = table.Members.Where(member => member.Service is null).Select(member => member.Host).ToHashSet(StringComparer.Ordinal);
        return view.Traffic.RoutingsByHost.Keys.All(host => IsNameOnly(view, host) == names.Contains(host));
    }

    /// <summary>Whether workloads of one of the two namespaces have a short name for a host.</summary>
    private bool IsNamedApart(Member member, Table table, OutboundRoutes other) => table.Fallback is not null
        && (IsIn(member.Host, scope.Domain) || IsIn(member.Host, other._domain));

    private static bool IsIn(string host, string domain) => host.EndsWith(domain, StringComparison.Ordinal) && host.Length > domain.Length
        && host[^(domain.Length + 1)] == '.';

    private ValueList<string> DomainsOf(Member member, int port) => (member.Service is { } service
        ? RouteGenerator.Domains(service, scope, port) : RouteGenerator.Domains(member.Host, scope, port)).ToValueList();

    /// <summary>Whether a host has other routes here, or DestinationRules that may be others are part of them.</summary>
    private bool IsRoutedApart(Member member, MeshView view)
    {
        var found = member.Service is { } service ? view.RoutingFor(service, scope) : view.RoutingFor(member.Host, scope);
        var (routing, inputs) = (found is { Rules.IsEmpty: false } ? found : null, member.Part.Inputs);
        return !ReferenceEquals(routing, inputs.Routing)
            || (routing is not null && (!view.Traffic.Rules.IsEmpty || RouteCaller.Of(scope, routing) != inputs.Caller));
    }

    /// <summary>The hosts that routes lead to.</summary>
    public IEnumerable<string> Destinations =>
        _tables.SelectMany(table => table.Members).SelectMany(member => member.Part.Inputs.Routing?.HttpDestinations ?? []);

    /// <summary>VirtualServices changed that route these hosts, which may be wildcards, or DestinationRules of hosts, and nothing else.</summary>
    /// <returns>False: the change is not one of routes only, so that all tables have to be made anew.</returns>
    public bool TryUpdate(MeshView view, RoutedHosts routed, IReadOnlySet<string> ruled)
    {
        var named = _tables.Find(table => table.Port == NameOnlyPort && table.Fallback is not null);
        if (named is not null && !routed.All(host => HasSameNames(view, named, host))) return false;
        var changed = new HashSet<Table>(ReferenceEqualityComparer.Instance);
        foreach (var (table, member) in MembersFor(routed, ruled))
        {
            var before = member.Part;
            member.Part = PartOf(view, member.Host, table.Port, member.Service, member.Domains);
            if (!ReferenceEquals(before, member.Part)) changed.Add(table);
            shared.VirtualHosts.Return(before);
        }
        Encode(changed);
        return true;
    }

    /// <summary>The members that changed routes or DestinationRules are for: found by name, unless any of them may be.</summary>
    private IEnumerable<(Table Table, Member Member)> MembersFor(RoutedHosts routed, IReadOnlySet<string> ruled) =>
        ruled.Count == 0 && !routed.HasWildcards
            ? routed.In(_places).Select(place => (_tables[place.Table], _tables[place.Table].Members[place.Member]))
            : _tables.SelectMany(table => table.Members, (table, member) => (Table: table, Member: member))
                .Where(item => (item.Member.Service is { } service ? routed.Concern(service) : routed.Concern(item.Member.Host))
                    || IsRuled(item.Member, ruled));

    private static Lazy<ILookup<string, (int Table, int Member)>> PlacesOf(List<Table> tables) => new(() => RoutedHosts.ByName(
        tables.Index().SelectMany(table => table.Item.Members.Index(), (table, member) => (Table: table.Index, Member: member.Index)),
        place => tables[place.Table].Members[place.Member].Host, place => tables[place.Table].Members[place.Member].Service));

    /// <summary>Whether it is made of a DestinationRule for one of these hosts.</summary>
    private static bool IsRuled(Member member, IReadOnlySet<string> ruled) => ruled.Count > 0
        && (ruled.Contains(member.Host) || member.Part.Inputs.Routing?.HttpDestinations.Any(ruled.Contains) == true);

    /// <summary>Nobody has the scope any more.</summary>
    public void Release()
    {
        Return(_tables);
        _tables = [];
        _places = PlacesOf([]);
    }

    /// <summary>Whether the table of names has the name, or lacks it, now as before.</summary>
    private bool HasSameNames(MeshView view, Table table, string host)
    {
        if (host.StartsWith('*')) return false;
        return IsNameOnly(view, host) == table.Members.Exists(member => member.Service is null && member.Host == host);
    }

    private Table OfHost(string name, int port, MeshService service, MeshView view)
    {
        var table = new Table(name, port, null);
        Add(table, view, service.Hostname, service, ["*"]);
        return table;
    }

    private Table OfPort(string name, int port, List<MeshService> services, MeshView view, OutboundPolicy policy)
    {
        var table = new Table(name, port, shared.Fallbacks.Take((policy, scope.Headers)));
        // A table must not contain a domain twice: the first host keeps it.
        var domains = new HashSet<string>(StringComparer.Ordinal);
        // The cluster's own hosts first: an address of another cluster must not take the domain of a local host.
        foreach (var service in ServiceAddresses.Ranked(services, service => service, scope))
            Add(table, view, service.Hostname, service, RouteGenerator.Domains(service, scope, port).Where(domains.Add).ToValueList());
        if (port == NameOnlyPort)
        {
            foreach (var host in view.Traffic.RoutingsByHost.Keys.Order(StringComparer.Ordinal))
                if (IsNameOnly(view, host) && domains.Add(host)) Add(table, view, host, null, RouteGenerator.Domains(host, scope, port).ToValueList());
        }
        return table;
    }

    private bool IsNameOnly(MeshView view, string host) =>
        view.Registry.Services.GetValueOrDefault(host)?.Port(NameOnlyPort) is null
        && view.RoutingFor(host, scope) is { Rules.IsEmpty: false } routing && routing.Hosts.Contains(host)
        && !(host.StartsWith('*') && IsCovered(view, host));

    private static bool IsCovered(MeshView view, string wildcard) =>
        view.Registry.Services.Values.Any(service => Hosts.Covers(wildcard, service.Hostname) && service.Port(NameOnlyPort) is not null);

    private void Add(Table table, MeshView view, string host, MeshService? service, ValueList<string> domains) =>
        table.Members.Add(new(host, service, domains) { Part = PartOf(view, host, table.Port, service, domains) });

    private SharedTable<VirtualHostInputs, EncodedPart>.Entry PartOf(MeshView view, string host, int port, MeshService? service, ValueList<string> domains)
    {
        var found = service is null ? view.RoutingFor(host, scope) : view.RoutingFor(service, scope);
        var routing = found is { Rules.IsEmpty: false } ? found : null;
        return shared.VirtualHosts.Take(new(RouteCaller.Of(scope, routing), view.Mesh, host, port, domains, routing, view.ShapesOf([routing], service, scope)));
    }

    private void Encode(IReadOnlyCollection<Table> tables)
    {
        foreach (var table in tables)
        {
            var before = table.Made;
            var parts = ImmutableArray.CreateBuilder<EncodedPart>(table.Members.Count + 1);
            foreach (var member in table.Members) parts.Add(member.Part.Made);
            if (table.Fallback is { } fallback) parts.Add(fallback.Made);
            table.Made = shared.RouteTables.Take(new(table.Name, parts.DrainToImmutable()));
            if (before is not null) shared.RouteTables.Return(before);
        }
        Resources = shared.Sets.Of(Resources.ReplacedBy([.. _tables.Select(table => table.Made!.Made)]));
    }

    private void Return(List<Table> tables)
    {
        foreach (var table in tables)
        {
            foreach (var member in table.Members) shared.VirtualHosts.Return(member.Part);
            if (table.Fallback is { } fallback) shared.Fallbacks.Return(fallback);
            if (table.Made is { } made) shared.RouteTables.Return(made);
        }
    }
}

/// <summary>The hosts that changed VirtualServices route, as they name them.</summary>
internal sealed class RoutedHosts(IReadOnlySet<string> names)
{
    private readonly string[] _wildcards = [.. names.Where(name => name.StartsWith('*'))];

    public bool IsEmpty => names.Count == 0;

    public bool HasWildcards => _wildcards.Length > 0;

    /// <summary>What is for the names, which are no wildcards.</summary>
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
