using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>What a filter answers; the head is in the response.</summary>
internal readonly record struct FilterAnswer(ReadOnlyMemory<byte> Body, string Details, EndReason Reason);

/// <summary>The filters of one request after another: each may answer in place of the route.</summary>
internal sealed class RequestFilters(
    HttpParts parts, Downstream connection, DownstreamStream stream, RequestRoute route, ResponseHead response, TrafficRecord record)
{
    // Null outside of requests, and for those that are refused before filters see them.
    private HttpAction? _action;

    // The share of the route that the request has at first; null as the switches are.
    private WeightedTarget? _firstShare;

    /// <summary>What the route says that the request has at first, of which filters run; null for nothing.</summary>
    public IReadOnlyDictionary<string, bool>? Switches { get; private set; }

    /// <summary>What policies keep of the request; null if none was asked.</summary>
    public RequestAccess? Access { get; private set; }

    /// <summary>The route that a filter of the request has asked for; none, if none has.</summary>
    public RouteDecision Decision { get; private set; }

    private RequestHead Request => stream.Request;

    /// <summary>Begins with another request.</summary>
    public void Begin(HttpAction action)
    {
        (_action, Decision, Switches, _firstShare) = (action, default, null, null);
        // What a filter changes of the request may change its route, but not which filters run.
        if (!action.HasOff && route.Table is not { SwitchesOff: true }) return;
        Switches = Route()?.Switches;
        _firstShare = Share();
    }

    /// <summary>Gives up what was kept of the request.</summary>
    public void Clear()
    {
        _action = null;
        Access?.Clear();
    }

    /// <summary>Edits the response, whoever gives it: filters that a refused request did not reach do so, too.</summary>
    public void EditResponse()
    {
        if (_action is not { } action) return;
        // Responses meet filters the other way round.
        for (var i = action.Filters.Length - 1; i >= 0; i--)
        {
            if (action.Filters[i] is not { Filter: HeaderMutationFilter mutation } listed || !IsOn(listed)) continue;
            foreach (var edits in mutation.For(Route(), Share())) HeaderEditing.Response(response, edits, record);
        }
    }

    public bool IsOn(ListedFilter listed) =>
        listed.IsOn(Switches) || (listed.Filter is HeaderMutationFilter mutation && mutation.HasOwn(_firstShare));

    /// <summary>What the filter answers; null: the request goes on.</summary>
    public ValueTask<FilterAnswer?> AnswerAsync(AccessFilter filter) => filter switch
    {
        CorsFilter cors => new(cors.For(Route()) is { } settings && Cors.TryPreflight(Request, settings, response)
            ? new FilterAnswer(default, "", EndReason.DirectResponse) : null),
        HeaderMutationFilter mutation => Edit(mutation),
        // Nearly no route has something to run.
        RouteFilter composite when Route()?.Composed.ContainsKey(composite.Name) != true => default,
        FaultFilter faults => faults.For(Route()) is { } fault ? InjectAsync(fault) : default,
        _ => RefuseAsync(filter),
    };

    /// <summary>The composite filter that has not run what a route says, because the request got the route later; null if there is none.</summary>
    public string? Unasked(RouteSnapshot of)
    {
        if (of.Composed.Count == 0) return null;
        foreach (var listed in _action!.Filters)
        {
            if (listed.Filter is RouteFilter composite && of.Composed.TryGetValue(composite.Name, out var check) && Access?.HasAsked(check) != true)
                return composite.Name;
        }
        return null;
    }

    /// <summary>The answer of a policy.</summary>
    public FilterAnswer Refuse(Refusal refusal) => new(LocalReply.Prepare(response, Request, refusal, record), refusal.Details, refusal.Reason);

    private ValueTask<FilterAnswer?> Edit(HeaderMutationFilter mutation)
    {
        foreach (var edits in mutation.For(Route(), Share())) HeaderEditing.Request(Request, edits, record);
        // What follows from fields, such as the address of the client, is another one now.
        Access?.Forget();
        return default;
    }

    private WeightedTarget? Share() => Route() is null ? null : route.Share;

    private RouteSnapshot? Route()
    {
        Decision = route.Decision;
        record.RouteName = Decision.Route?.Name ?? "";
        return Decision.ForFilters(route.Scheme);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<FilterAnswer?> RefuseAsync(AccessFilter filter)
    {
        Access ??= new(parts, connection, stream, route);
        var refusal = await Access.CheckAsync(filter, _action!, route.Scheme, record).ConfigureAwait(false);
        record.Metadata = Access.Metadata;
        return refusal is null ? null : Refuse(refusal);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<FilterAnswer?> InjectAsync(FaultSettings fault) =>
        await FaultInjection.RunAsync(fault, Request, route.Scheme, parts.Ports, record, response).ConfigureAwait(false) is { } body
            ? new FilterAnswer(body, "fault_filter_abort", EndReason.FaultInjected) : null;
}
