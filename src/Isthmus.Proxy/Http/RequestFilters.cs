using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>Runs the filters of one request after another, step by step.</summary>
internal sealed class RequestFilters(
    HttpParts parts, Downstream connection, DownstreamStream stream, RequestRoute route, ResponseHead response, TrafficRecord record) : FilteredRequest
{
    // Null outside of requests, and for those that are refused before filters see them.
    private HttpAction? _action;

    // The share of the route that the request has at first; null as the switches are.
    private WeightedTarget? _firstShare;

    // What few filters ask for.
    private Extras? _extras;

    /// <summary>What the route says that the request has at first, of which filters run; null for nothing.</summary>
    public IReadOnlyDictionary<string, bool>? Switches { get; private set; }

    /// <summary>The route that a filter of the request has asked for; none, if none has.</summary>
    public RouteDecision Decision { get; private set; }

    /// <summary>Fields that filters add to whatever response the client gets; null for none.</summary>
    public IReadOnlyList<HeaderEdit>? ToClient => _extras?.ToClient;

    public override FilterPorts Ports => parts.Filters;

    public override RequestHead Head => stream.Request;

    public override ResponseHead Response => response;

    public override TrafficRecord Record => record;

    public override string Scheme => route.Scheme;

    public override Direction Direction => connection.Listener.Direction;

    public override object Connection => connection;

    public override string OwnIdentity => connection.Chain?.Tls is { } tls ? parts.Secrets.FindCertificate(tls.Certificate)?.Self.Identity ?? "" : "";

    public override PolicyFacts Facts => (More.Facts ??= new(
        Head, Scheme, connection.Peer, connection.Source, RequestPreparation.RemoteAddress(Head.Headers, connection, _action!.Client),
        connection.Destination, connection.Facts.ServerName) { DirectSource = connection.DirectSource }) with { Metadata = Metadata, State = record.State };

    public override RequestMetadata? Metadata
    {
        get => route.Metadata;
        set => record.Metadata = route.Metadata = value;
    }

    public override string Cluster => route.Cluster;

    public override ReadOnlyMemory<byte>? Body => _extras?.Body?.Buffered;

    public override bool IsBodyStreaming => _extras?.Body is { IsStreaming: true };

    private Extras More => _extras ??= new();

    /// <summary>The head of another request has arrived.</summary>
    public void Arrive(HttpAction action)
    {
        foreach (var listed in action.Filters.Arrivals) listed.Filter.OnArrival(this);
    }

    /// <summary>Begins with the filters of that request.</summary>
    public void Begin(HttpAction action)
    {
        (_action, Decision, Switches, _firstShare) = (action, default, null, null);
        // What a filter changes of the request may change its route, but not which filters run.
        if (!action.Filters.HasOff && route.Table is not { SwitchesOff: true }) return;
        Switches = Route()?.Switches;
        _firstShare = Share();
    }

    /// <summary>Gives up what was kept of the request.</summary>
    public void Clear()
    {
        _action = null;
        route.Metadata = null;
        _extras?.Clear();
        ClearStates();
    }

    /// <summary>Whether a filter takes part, by what the route says that the request has at first.</summary>
    public bool IsOn(in ListedFilter listed) =>
        IsOnByRoute(listed) || (listed.Filter.TakesShares && _firstShare?.Filters?.ContainsKey(listed.Name) == true);

    /// <summary>The request goes to a cluster.</summary>
    public void Forward()
    {
        foreach (var listed in _action!.Filters.Forwards)
            if (IsOnAtLast(listed)) listed.Filter.OnForward(this);
    }

    /// <summary>A host of it has answered.</summary>
    public void Answer()
    {
        foreach (var listed in _action!.Filters.Answers)
            if (IsOnAtLast(listed)) listed.Filter.OnAnswer(this);
    }

    /// <summary>The response is as the client gets it, whoever gives it: filters that a refused request did not reach see it, too.</summary>
    public void Respond()
    {
        if (_action is not { } action) return;
        foreach (var listed in action.Filters.Responses)
            if (IsOn(listed)) listed.Filter.OnResponse(this);
    }

    /// <summary>The filter that each request of a route has to meet, but not this one did, because it got the route later; null if there is none.</summary>
    public string? Unasked(RouteSnapshot of)
    {
        if (!of.Filters.IsForAll) return null;
        foreach (var listed in _action!.Filters)
            if (listed.Filter.HasMissed(this, of.Filters)) return listed.Name;
        return null;
    }

    /// <summary>Hands the body to the code that forwards it.</summary>
    public RequestBody? TakeBody() => _extras?.TakeBody();

    public override RouteSettings? TakeRoute() => Route()?.Filters;

    public override RouteSettings? PeekRoute() => route.Decision.ForFilters(Scheme)?.Filters;

    public override RouteSettings? PeekAnyRoute() => route.Decision.Route?.Filters;

    public override IRouteOverride? OfShare(string filter) => Share()?.Filters?.GetValueOrDefault(filter);

    public override void ForgetRoute() => route.Forget();

    public override void Edit(HeaderEdits edits)
    {
        HeaderEditing.Request(Head, edits, record);
        _extras?.Facts = null;
    }

    public override void EditResponse(HeaderEdits edits) => HeaderEditing.Response(response, edits, record);

    public override void TellClient(IReadOnlyList<HeaderEdit> fields) => More.ToClient = [.. More.ToClient, .. fields];

    public override void CountMessages() => stream.CountsMessages = true;

    public override ValueTask ReadAheadAsync(long bytes) => (More.Body ??= RequestBody.Begin(stream)).ReadAheadAsync(bytes);

    public override FilterAnswer Refuse(Refusal refusal) => new(LocalReply.Prepare(response, Head, refusal, record), refusal.Details, refusal.Reason);

    // What begins before there is a route is on, whatever the route says.
    private bool IsOnByRoute(in ListedFilter listed) => listed.IsOn(Switches) || listed.Filter.Steps.HasFlag(FilterSteps.Arrival);

    // The share that the request goes to in the end may switch a filter on, too.
    private bool IsOnAtLast(in ListedFilter listed) => IsOnByRoute(listed) || (listed.Filter.TakesShares && OfShare(listed.Name) is not null);

    private WeightedTarget? Share() => PeekRoute() is null ? null : route.Share;

    private RouteSnapshot? Route()
    {
        Decision = route.Decision;
        record.RouteName = Decision.Route?.Name ?? "";
        return Decision.ForFilters(Scheme);
    }

    /// <summary>What is kept of a request only if filters ask for it.</summary>
    private sealed class Extras
    {
        public PolicyFacts? Facts { get; set; }

        /// <summary>The body, as far as it was read for an authorizer; null when it was not.</summary>
        public RequestBody? Body { get; set; }

        public IReadOnlyList<HeaderEdit> ToClient { get; set; } = [];

        public RequestBody? TakeBody()
        {
            var body = Body;
            Body = null;
            return body;
        }

        public void Clear()
        {
            (Facts, ToClient) = (null, []);
            TakeBody()?.Dispose();
        }
    }
}
