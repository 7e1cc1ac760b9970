using System.Text;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Upstreams;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Decisions;

/// <summary>Which virtual host and which of its routes a request has.</summary>
public sealed class RouteChoice
{
    private readonly HttpAction _http;
    private readonly RouteDecision _decision;
    private readonly Lazy<Wire.Envoy.Routes.VirtualHost?> _resource;

    internal RouteChoice(HttpAction http, RouteDecision decision)
    {
        (_http, _decision) = (http, decision);
        _resource = new(() => decision.Table.Resource.VirtualHosts.FirstOrDefault(host => host.Name == decision.Host?.Name));
    }

    /// <summary>The name of the routes.</summary>
    public string Table => _decision.Table.Name;

    /// <summary>The name of the virtual host; null: none is for the request's host.</summary>
    public string? Host => _decision.Host?.Name;

    /// <summary>Whether the virtual host has no route at all.</summary>
    public bool HasNoRoutes => _decision.Host!.Routes.IsEmpty;

    /// <summary>Whether the virtual host sends requests to https, whatever their route.</summary>
    public bool RedirectsToHttps(string scheme) => _decision.RedirectsToHttps(scheme);

    /// <summary>Whether routes of the virtual host ask for what filters learned of the request.</summary>
    public bool AsksFilters => _decision.Host!.Routes.Any(route => route.Metadata.Length > 0);

    /// <summary>What the routes of the virtual host say of where they come from, in their order.</summary>
    public IEnumerable<Metadata?> Origins => _decision.Host!.Routes.Select(MetadataOf);

    /// <summary>Null: no route of the virtual host matches.</summary>
    public RouteView? Route => _decision.Route is { } route ? new(_http, _decision, route, MetadataOf(route)) : null;

    private Metadata? MetadataOf(RouteSnapshot? route)
    {
        var index = route is null ? -1 : _decision.Host!.Routes.IndexOf(route);
        return _resource.Value is { } host && index >= 0 && index < host.Routes.Count ? host.Routes[index].Metadata : null;
    }
}

/// <summary>What becomes of a request.</summary>
public abstract record ActView;

/// <summary>The proxy answers that the client is to ask elsewhere.</summary>
public sealed record RedirectView(int Status) : ActView;

/// <summary>The proxy answers.</summary>
public sealed record AnswerView(int Status) : ActView;

/// <summary>The request goes to one of the clusters.</summary>
/// <param name="Timeout">Zero: none.</param>
/// <param name="Retries">Null: none.</param>
/// <param name="TryTimeout">Of each try; zero: none.</param>
public sealed record ForwardView(IReadOnlyList<TargetView> Targets, TimeSpan Timeout, int? Retries, TimeSpan TryTimeout) : ActView
{
    /// <summary>The clusters that get copies of requests.</summary>
    public IReadOnlyList<string> Mirrors { get; init; } = [];
}

/// <summary>A fault that is injected into requests. Shares are parts of a million.</summary>
/// <param name="GrpcStatus">The status for clients that speak gRPC; null: as it follows from the HTTP status.</param>
public sealed record FaultView(TimeSpan Delay, int DelayShare, int AbortStatus, int AbortShare, int? GrpcStatus);

/// <summary>A route of a virtual host.</summary>
public sealed class RouteView
{
    private readonly HttpAction _http;
    private readonly RouteDecision _decision;
    private readonly RouteSnapshot _route;

    internal RouteView(HttpAction http, RouteDecision decision, RouteSnapshot route, Metadata? metadata) =>
        (_http, _decision, _route, Metadata) = (http, decision, route, metadata);

    /// <summary>The name of the route; empty when it has none.</summary>
    public string Name => _route.Name;

    /// <summary>What its resource says of where it comes from.</summary>
    public Metadata? Metadata { get; }

    /// <summary>The filter that may run and refuse requests, but whose configuration for the route cannot be honoured; null if there is none.</summary>
    public string? Unread => _http.Unread(_route, _route.Switches);

    /// <summary>What it does.</summary>
    public ActView Act => _route.Act switch
    {
        RedirectAct redirect => new RedirectView(redirect.Status),
        DirectAct direct => new AnswerView(direct.Status),
        ForwardAct act => new ForwardView([.. act.Targets.Select(target => new TargetView(target.Cluster, target.Weight))], act.Timeout, act.Retry?.Retries,
            act.Retry?.PerTryTimeout ?? TimeSpan.Zero)
        {
            Mirrors = [.. act.Mirrors.Where(mirror => mirror.Fraction.PerMillion > 0).Select(mirror => mirror.Cluster)],
        },
        var other => throw new InvalidOperationException($"no such act: {other.GetType().Name}"),
    };

    /// <summary>Where a redirect of a request leads; null: the route does not redirect.</summary>
    /// <param name="scheme">Of the request.</param>
    public string? Location(AskedRequest request, string scheme) =>
        _route.Act is RedirectAct redirect ? LocalReply.Location(request.Head, _route, redirect, scheme, scheme == "https") : null;

    /// <summary>The fault that a request gets; null for none.</summary>
    public FaultView? Fault(AskedRequest request, string scheme) =>
        _http.FaultOf(_route) is { } fault && fault.Headers.All(header => header.IsMatch(request.Head, scheme))
            ? new(fault.Delay, fault.DelayShare.PerMillion, fault.AbortStatus, fault.AbortShare.PerMillion, fault.GrpcStatus) : null;

    /// <summary>The request as a cluster of the route gets it: with the headers that the route changes, and the path and host that it writes.</summary>
    public AskedRequest Sent(AskedRequest request, string cluster)
    {
        var sent = request.Copy();
        if (_route.Act is not ForwardAct act || act.Targets.FirstOrDefault(one => one.Cluster == cluster) is not { } target) return sent;
        var record = new TrafficRecord { Request = sent.Head };
        foreach (var edits in (ReadOnlySpan<HeaderEdits>)[target.Edits, _route.Edits, _decision.Host!.Edits, _decision.Table.Edits])
            HeaderEditing.Request(sent.Head, edits, record);
        HeaderEditing.Rewrite(sent.Head, _route, act, target, null);
        return sent;
    }

    /// <summary>The path that the upstream gets; null: the same.</summary>
    public string? Rewritten(string path) => _route.Act is ForwardAct act
        && HeaderEditing.RewritePath(Encoding.UTF8.GetBytes(path), _route.Path, act.PrefixRewrite, act.PathRewrite) is { } rewritten
        ? Encoding.UTF8.GetString(rewritten) : null;
}
