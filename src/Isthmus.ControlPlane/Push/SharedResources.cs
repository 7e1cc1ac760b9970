using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>All inputs of one outbound listener.</summary>
/// <param name="Plan">Null for the one that has all connections, and those to addresses that nobody knows.</param>
internal sealed record ListenerInputs(OutboundListener? Plan, MeshConfig Mesh, OutboundPolicy Policy, TracePlan? Tracing);

/// <summary>All inputs of a route table of sidecars.</summary>
/// <param name="Hosts">Encoded virtual hosts, in order. They are shared, so that equal ones are the same object.</param>
internal sealed record RouteTableInputs(string Name, ImmutableArray<XdsPart> Hosts);

/// <summary>The resources that several scopes may have: what differs between the scopes of two namespaces is seldom what a host's clusters,
/// endpoints and routes are made of.</summary>
internal sealed class SharedResources
{
    public SharedTable<ClusterInputs, ImmutableArray<XdsResource>> Clusters { get; } = new(
        inputs => [.. ClusterGenerator.Outbound(inputs).Concat(UdpClusters.Of(inputs))
            .Select(cluster => EncodedResource.Of(TypeUrls.Cluster, cluster.Name, cluster))],
        new ClusterComparer());

    public SharedTable<EndpointInputs, ImmutableArray<XdsResource>> Endpoints { get; } = new(
        inputs => [.. EndpointGenerator.All(inputs).Concat(UdpClusters.Assignments(inputs))
            .Select(assignment => EncodedResource.Of(TypeUrls.Endpoints, assignment.ClusterName, assignment))],
        new EndpointComparer());

    public SharedTable<VirtualHostInputs, XdsPart> VirtualHosts { get; } = new(
        inputs => XdsPart.Of(RouteGenerator.VirtualHost(inputs)), new VirtualHostComparer());

    public SharedTable<FallbackInputs, XdsPart> Fallbacks { get; } = new(
        inputs => XdsPart.Of(RouteGenerator.Fallback(inputs)), EqualityComparer<FallbackInputs>.Default);

    public SharedTable<RouteTableInputs, XdsResource> RouteTables { get; } = new(
        inputs => EncodedResource.OfParts(inputs.Name, RouteGenerator.Head(inputs.Name), inputs.Hosts), new RouteTableComparer());

    public SharedTable<ListenerInputs, XdsResource> Listeners { get; } = new(
        inputs => EncodedResource.Of(TypeUrls.Listener, inputs.Plan?.Name ?? ResourceNames.VirtualOutbound, inputs.Plan is { } plan
            ? OutboundListeners.Build(plan, inputs.Mesh, inputs.Policy, inputs.Tracing)
            : OutboundListeners.Virtual(inputs.Mesh, inputs.Policy, inputs.Tracing)),
        new ListenerComparer());

    public SharedTable<NameTableInputs, XdsResource> NameTables { get; }

    public SharedSets Sets { get; } = new();

    // Most changes of Services leave their names as they are: what was made of other inputs and is equal is kept once.
    private readonly SharedValues<XdsResource> _nameTables = new();

    public SharedResources() => NameTables = new(
        inputs => _nameTables.Of(EncodedResource.Of(TypeUrls.NameTable, "", NameTableGenerator.Build(inputs))), new NameTableComparer());

    /// <summary>The settings of scopes.</summary>
    public SharedValues<MeshConfig> Settings { get; } = new();

    // The comparers hash what is cheap and tells entries apart, and compare the parts that are usually the same object first.

    private sealed class ClusterComparer : IEqualityComparer<ClusterInputs>
    {
        public bool Equals(ClusterInputs? a, ClusterInputs? b) => ReferenceEquals(a, b) || (a is not null && b is not null && HostInputs.Same(a, b));

        public int GetHashCode(ClusterInputs inputs) => HashCode.Combine(
            inputs.Service.Hostname, inputs.Service.Ports.Count, inputs.Rule?.Source, inputs.Identities.Count, inputs.SniPassthrough,
            inputs.Caller.From.Cluster, inputs.Caller.From.Network, inputs.Caller.From.Locality);
    }

    private sealed class EndpointComparer : IEqualityComparer<EndpointInputs>
    {
        public bool Equals(EndpointInputs? a, EndpointInputs? b) => ReferenceEquals(a, b) || (a is not null && b is not null && HostInputs.Same(a, b));

        /// <summary>While a host changes, what it was and what it will be are both here: they differ in little but their endpoints.</summary>
        public int GetHashCode(EndpointInputs inputs)
        {
            var hash = new HashCode();
            hash.Add(inputs.Service.Hostname);
            hash.Add(inputs.Rule?.Source);
            hash.Add(inputs.SniPassthrough);
            hash.Add(inputs.From.Cluster);
            hash.Add(inputs.From.Network);
            hash.Add(inputs.From.Locality);
            foreach (var endpoint in inputs.Endpoints)
            {
                hash.Add(endpoint.Address);
                hash.Add(endpoint.Health);
            }
            return hash.ToHashCode();
        }
    }

    private sealed class VirtualHostComparer : IEqualityComparer<VirtualHostInputs>
    {
        public bool Equals(VirtualHostInputs? a, VirtualHostInputs? b) => a == b;

        public int GetHashCode(VirtualHostInputs inputs) =>
            HashCode.Combine(inputs.Hostname, inputs.Port, inputs.Domains.Count, inputs.Routing?.Source, inputs.Caller.Source.Namespace);
    }

    private sealed class RouteTableComparer : IEqualityComparer<RouteTableInputs>
    {
        public bool Equals(RouteTableInputs? a, RouteTableInputs? b) => ReferenceEquals(a, b)
            || (a is not null && b is not null && a.Name == b.Name && a.Hosts.AsSpan().SequenceEqual(b.Hosts.AsSpan(), ReferenceEqualityComparer.Instance));

        public int GetHashCode(RouteTableInputs inputs)
        {
            var hash = new HashCode();
            hash.Add(inputs.Name);
            foreach (var host in inputs.Hosts) hash.Add(RuntimeHelpers.GetHashCode(host));
            return hash.ToHashCode();
        }
    }

    private sealed class ListenerComparer : IEqualityComparer<ListenerInputs>
    {
        public bool Equals(ListenerInputs? a, ListenerInputs? b) => a == b;

        public int GetHashCode(ListenerInputs inputs) => HashCode.Combine(inputs.Plan?.Name, inputs.Plan?.Chains.Count, inputs.Policy);
    }

    private sealed class NameTableComparer : IEqualityComparer<NameTableInputs>
    {
        public bool Equals(NameTableInputs? a, NameTableInputs? b) => a == b;

        public int GetHashCode(NameTableInputs inputs) => HashCode.Combine(
            inputs.Caller.Addresses.Cluster, inputs.Caller.Network, inputs.Caller.Namespace, inputs.Hosts.Count,
            inputs.Hosts.IsEmpty ? "" : inputs.Hosts[0].Service.Hostname, inputs.Hosts.IsEmpty ? "" : inputs.Hosts[^1].Service.Hostname);
    }
}

/// <summary>Equality of the inputs of a host, cheapest parts first; records compare by content, and unchanged values are usually the same object.</summary>
internal static class HostInputs
{
    public static bool Same(ClusterInputs a, ClusterInputs b) =>
        ReferenceEquals(a.Service, b.Service) && ReferenceEquals(a.Rule, b.Rule) && ReferenceEquals(a.Mesh, b.Mesh)
            ? a.HasMtls == b.HasMtls && a.SniPassthrough == b.SniPassthrough && a.PassesDatagrams == b.PassesDatagrams && a.Identities == b.Identities
                && a.Members == b.Members && a.Caller == b.Caller
            : a == b;

    public static bool Same(EndpointInputs a, EndpointInputs b) =>
        ReferenceEquals(a.Service, b.Service) && ReferenceEquals(a.Rule, b.Rule) && ReferenceEquals(a.Mesh, b.Mesh)
            && ReferenceEquals(a.Gateways, b.Gateways)
            ? a.SniPassthrough == b.SniPassthrough && a.PassesDatagrams == b.PassesDatagrams && a.SendsTunnels == b.SendsTunnels
                && a.From == b.From && a.Endpoints == b.Endpoints
            : a == b;
}

/// <summary>Finds sets with equal resources, so that scopes that see the same keep one. Thread-safe.</summary>
internal sealed class SharedSets
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, WeakReference<ResourceSet>> _known = [];
    private int _limit = 64;

    /// <summary>An equal set that somebody has already, or this one.</summary>
    public ResourceSet Of(ResourceSet set)
    {
        if (set.IsShared) return set;
        lock (_lock)
        {
            if (_known.TryGetValue(set.ContentHash, out var reference) && reference.TryGetTarget(out var known) && known.HasSameContent(set)) return known;
            if (_known.Count >= _limit) Sweep();
            _known[set.ContentHash] = new(set);
            set.IsShared = true;
            return set;
        }
    }

    private void Sweep()
    {
        foreach (var (hash, reference) in _known.ToList())
        {
            if (!reference.TryGetTarget(out _)) _known.Remove(hash);
        }
        _limit = Math.Max(64, _known.Count * 2);
    }
}

/// <summary>Finds equal values, so that who compares them later sees the same object. Thread-safe.</summary>
internal sealed class SharedValues<T> where T : class
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, WeakReference<T>> _known = [];
    private int _limit = 64;

    /// <summary>An equal value that somebody has already, or this one.</summary>
    public T Of(T value)
    {
        lock (_lock)
        {
            var hash = value.GetHashCode();
            if (_known.TryGetValue(hash, out var reference) && reference.TryGetTarget(out var known) && known.Equals(value)) return known;
            if (_known.Count >= _limit) Sweep();
            _known[hash] = new(value);
            return value;
        }
    }

    private void Sweep()
    {
        foreach (var (hash, reference) in _known.ToList())
        {
            if (!reference.TryGetTarget(out _)) _known.Remove(hash);
        }
        _limit = Math.Max(64, _known.Count * 2);
    }
}
