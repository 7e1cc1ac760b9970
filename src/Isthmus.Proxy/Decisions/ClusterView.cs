using System.Net;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Envoy;
using Endpoint = Isthmus.Proxy.Clusters.Endpoint;

namespace Isthmus.Proxy.Decisions;

/// <summary>A cluster of a proxy: the hosts among which it balances.</summary>
public sealed class ClusterView
{
    private readonly ClusterState _cluster;
    private readonly ProxySnapshot _snapshot;

    internal ClusterView(ClusterState cluster, ProxySnapshot snapshot) => (_cluster, _snapshot) = (cluster, snapshot);

    /// <summary>The name of its resource.</summary>
    public string Name => Config.Name;

    /// <summary>Where its hosts come from.</summary>
    public string Kind => Config.Kind.ToString();

    /// <summary>Whether the control plane names its hosts.</summary>
    public bool IsEds => Config.Kind == ClusterKind.Eds;

    /// <summary>Whether the proxy resolves names to find its hosts.</summary>
    public bool IsDns => Config.Kind is ClusterKind.StrictDns or ClusterKind.LogicalDns;

    /// <summary>Whether its host is the one that the client called.</summary>
    public bool IsByDestination => Config.Kind == ClusterKind.OriginalDst;

    /// <summary>How it balances.</summary>
    public string Balancing => Config.Policy.ToString();

    /// <summary>Whether its hosts are spoken to in HTTP/2, whatever the client speaks.</summary>
    public bool IsHttp2 => Config.Http == UpstreamHttp.Http2;

    /// <summary>Whether its hosts get the protocols of the cluster (ALPN), and not those that listeners choose for the mesh.</summary>
    public bool KeepsAlpn => Config.KeepsAlpn;

    /// <summary>How long a connection may take to be made, with its TLS.</summary>
    public TimeSpan ConnectTimeout => Config.ConnectTimeout;

    /// <summary>What its resource says of where it comes from.</summary>
    public Metadata? Metadata => Config.Resource.Metadata;

    /// <summary>The names or addresses of hosts in the resource itself.</summary>
    public IReadOnlyList<string> Names => [.. (Config.Resource.LoadAssignment?.Endpoints ?? []).SelectMany(group => group.LbEndpoints)
        .Select(one => one.Endpoint?.Address?.SocketAddress?.Address ?? "").Where(name => name.Length > 0).Distinct()];

    /// <summary>The first host of the resource itself; null when it has none.</summary>
    public EndPoint? Own => Config.Inline?.Localities.SelectMany(locality => locality.Endpoints).FirstOrDefault()?.Address;

    /// <summary>The hosts that are healthy as the control plane has it.</summary>
    public IReadOnlyList<EndpointView> Healthy => [.. _cluster.Assignment.Localities.SelectMany(HealthyOf)];

    private ClusterSnapshot Config => _cluster.Config;

    /// <summary>The hosts that are healthy as the control plane has it, each with its share of the calls.</summary>
    /// <param name="destination">Where the client wanted to go.</param>
    /// <param name="isEjected">Whether the proxy uses a host no more, because calls to it failed.</param>
    public IReadOnlyList<(EndpointView Endpoint, double Share)> Shares(IPEndPoint destination, Func<EndpointView, bool> isEjected)
    {
        if (IsByDestination) return _cluster.Pick(null, null, destination) is { } host ? [(new(host.Endpoint, Nowhere, Config, _snapshot), 1)] : [];
        var localities = _cluster.Assignment.Localities;
        var first = localities.Where(locality => HealthyOf(locality).Any(endpoint => !isEjected(endpoint)))
            .Select(locality => locality.Priority).DefaultIfEmpty(0).Min();
        var total = localities.Where(locality => locality.Priority == first).Sum(WeightOf);
        return
        [
            .. from locality in localities
               let ready = HealthyOf(locality).ToList()
               let own = ready.Sum(endpoint => endpoint.Weight)
               from endpoint in ready
               select (endpoint, locality.Priority == first && total > 0 ? WeightOf(locality) / total * endpoint.Weight / own : 0),
        ];
    }

    private static readonly LocalityEndpoints Nowhere = new("", "", "", 0, 0, []);

    private IEnumerable<EndpointView> HealthyOf(LocalityEndpoints locality) =>
        locality.Endpoints.Where(endpoint => endpoint.Health == EndpointHealth.Healthy)
            .Select(endpoint => new EndpointView(endpoint, locality, Config, _snapshot));

    private double WeightOf(LocalityEndpoints locality) =>
        Config.WeightLocalities && _cluster.Assignment.Localities.Any(other => other.Weight > 0) ? locality.Weight
            : locality.Endpoints.Sum(endpoint => (double)Math.Max(1, endpoint.Weight));
}

/// <summary>The workload behind an endpoint, as the control plane describes it; empty parts are unknown.</summary>
public sealed record WorkloadView(string Name, string Namespace, string Cluster);

/// <summary>A host of a cluster.</summary>
public sealed class EndpointView
{
    private readonly Endpoint _endpoint;
    private readonly LocalityEndpoints _locality;
    private readonly ClusterSnapshot _cluster;
    private readonly ProxySnapshot _snapshot;

    internal EndpointView(Endpoint endpoint, LocalityEndpoints locality, ClusterSnapshot cluster, ProxySnapshot snapshot) =>
        (_endpoint, _locality, _cluster, _snapshot) = (endpoint, locality, cluster, snapshot);

    /// <summary>An IP end point or a Unix socket; of what is reached through a tunnel, its end.</summary>
    public EndPoint Address => _endpoint.Place;

    /// <summary>The address as text.</summary>
    public string AddressText => Endpoint.Text(Address);

    /// <summary>The internal listener that opens a tunnel to it; empty: none does.</summary>
    public string Tunnel => (_endpoint.Address as InternalEndPoint)?.Listener ?? "";

    /// <summary>The TLS of that tunnel; null: there is none, or the proxy has nothing that would open it.</summary>
    public TlsView? TunnelTls => _endpoint.Address is InternalEndPoint inside && _snapshot.Listeners.TryGetValue(inside.Listener, out var listener)
        && listener.Chains.All.Select(chain => chain.Action).OfType<TcpAction>().FirstOrDefault(action => action.Tunnel is not null) is { } action
        && _snapshot.Clusters.TryGetValue(action.Targets[0].Cluster, out var opener) ? TlsView.Of(opener.Config.Steps.Tls) : null;

    /// <summary>Its weight among the hosts of its locality, at least 1.</summary>
    public double Weight => Math.Max(1, _endpoint.Weight);

    /// <summary>Whether the control plane lets it be used.</summary>
    public bool IsHealthy => _endpoint.Health == EndpointHealth.Healthy;

    /// <summary>Its health as the control plane has it, in lower case.</summary>
    public string Health => _endpoint.Health.ToString().ToLowerInvariant();

    /// <summary>What runs there.</summary>
    public WorkloadView Workload => new(_endpoint.Workload.Name, _endpoint.Workload.Namespace, _endpoint.Workload.Cluster);

    /// <summary>Whether it represents workloads of another network.</summary>
    public bool IsGateway => _endpoint.IsGateway;

    /// <summary>Region, zone and subzone, as far as they are known.</summary>
    public string Locality => _locality.Text;

    /// <summary>Lower ones are used first.</summary>
    public int Priority => _locality.Priority;

    /// <summary>The TLS of connections to it; null for none.</summary>
    public TlsView? Tls => TlsView.Of(_cluster.TlsFor(_endpoint));

    /// <summary>Whether connections to it begin with a header of the PROXY protocol.</summary>
    public bool GetsProxyHeader => (_cluster.SocketFor(_endpoint)?.Steps ?? _cluster.Steps).All.Any(step => step is ProxyHeaderStep);

    /// <summary>Whether its labels choose how it is spoken to.</summary>
    public bool HasOwnSocket => _cluster.SocketFor(_endpoint) is not null;
}
