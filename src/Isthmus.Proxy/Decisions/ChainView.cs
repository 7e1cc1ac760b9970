using Isthmus.Core.Collections;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Decisions;

/// <summary>A cluster and its weight among those of a route.</summary>
public readonly record struct TargetView(string Cluster, int Weight);

/// <summary>A filter chain of a listener: what becomes of the connections that it takes.</summary>
public sealed class ChainView
{
    private readonly FilterChainSnapshot _chain;
    private readonly ListenerSnapshot _listener;
    private readonly ProxySnapshot _snapshot;

    internal ChainView(FilterChainSnapshot chain, ListenerSnapshot listener, ProxySnapshot snapshot) =>
        (_chain, _listener, _snapshot) = (chain, listener, snapshot);

    /// <summary>The name of the chain; empty when it has none.</summary>
    public string Name => _chain.Name;

    /// <summary>What the chain takes; empty when it takes everything.</summary>
    public string Takes => !_chain.Match.ApplicationProtocols.IsEmpty ? string.Join(",", _chain.Match.ApplicationProtocols)
        : string.Join(",", _chain.Match.ServerNames);

    /// <summary>What its resource says of where it comes from.</summary>
    public Metadata? Metadata =>
        _listener.Chains.All.ToList().IndexOf(_chain) is >= 0 and var index && index < _listener.Resource.FilterChains.Count
            ? _listener.Resource.FilterChains[index].Metadata : null;

    /// <summary>The TLS that ends here; null: none does.</summary>
    public TlsView? Tls => TlsView.Of(_chain.Tls);

    /// <summary>Whether it speaks HTTP.</summary>
    public bool IsHttp => Http is not null;

    /// <summary>Whether it copies bytes.</summary>
    public bool IsTcp => Tcp is not null;

    /// <summary>Whether it ends in a filter that the proxy does not have: nothing more is known of it.</summary>
    public bool IsLacking => _chain.Action is UnsupportedAction;

    /// <summary>Where bytes go.</summary>
    public IReadOnlyList<TargetView> Targets => [.. (Tcp?.Targets ?? []).Select(target => new TargetView(target.Cluster, target.Weight))];

    /// <summary>How long a connection may carry no bytes; null where nobody has shortened the hour that proxies give by themselves.</summary>
    public TimeSpan? Idle => Tcp is { IdleTimeout: var idle } && idle > TimeSpan.Zero && idle < TimeSpan.FromHours(1) ? idle : null;

    /// <summary>Whether the server name of a connection says where its bytes go.</summary>
    public bool IsBySni => Tcp?.BySni is not null;

    /// <summary>The name of the routes of requests.</summary>
    public string RouteName => Http?.RouteName ?? "";

    /// <summary>The protocols to offer to endpoints instead of the cluster's own, by the version of HTTP of the caller.</summary>
    public ValueMap<ValueList<string>> Alpn => Http?.AlpnOverride ?? default;

    private HttpAction? Http => _chain.Action as HttpAction;

    private TcpAction? Tcp => _chain.Action as TcpAction;

    /// <summary>The cluster that bytes of a connection with a server name go to, where it is one alone.</summary>
    public string ClusterOf(string serverName) => Tcp!.BySni?.Cluster(serverName) ?? Tcp.Targets[0].Cluster;

    /// <summary>The filters that may refuse a call, in their order.</summary>
    /// <param name="request">Null for a connection, or where no request is known.</param>
    public IEnumerable<FilterView> Filters(AskedRequest? request, string scheme) =>
        _chain.Access.Select(FilterView.Of).Concat((Http?.Running(request is null ? null : First(request, scheme)) ?? []).Select(FilterView.Of))
            .OfType<FilterView>();

    /// <summary>Where a request goes; null: the proxy lacks the routes.</summary>
    /// <param name="learned">What filters found out about the request; null for nothing.</param>
    public RouteChoice? Route(AskedRequest request, string scheme, LearnedFacts? learned) =>
        Routes is { } table ? new(Http!, RouteDecision.For(table, request.Head, scheme, new Random(1), learned?.Metadata)) : null;

    private RouteTable? Routes => Http is null ? null : Http.Routes ?? _snapshot.Routes.GetValueOrDefault(Http.RouteName);

    /// <summary>The route that a request has before any filter runs, which says which of them do; null if there is none.</summary>
    private RouteSnapshot? First(AskedRequest request, string scheme) =>
        Routes is { } table ? RouteDecision.For(table, request.Head, scheme, new Random(1), null).ForFilters(scheme) : null;
}
