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
        (_action, Decision) = (action, default);
        // What a filter changes of the request may change its route, but not which filters run.
        Switches = action.HasOff || route.Table is { SwitchesOff: true } ? Route()?.Switches : null;
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
            foreach (var edits in mutation.For(Route())) HeaderEditing.Response(response, edits, record);
        }
    }

    public bool IsOn(ListedFilter listed) => listed.IsOn(Switches);

    /// <summary>What the filter answers; null: the request goes on.</summary>
    public ValueTask<FilterAnswer?> AnswerAsync(AccessFilter filter) => filter switch
    {
        CorsFilter cors => new(cors.For(Route()) is { } settings && Cors.TryPreflight(Request, settings, response)
            ? new FilterAnswer(default, "", EndReason.DirectResponse) : null),
        HeaderMutationFilter mutation => Edit(mutation),
        FaultFilter faults => faults.For(Route()) is { } fault ? InjectAsync(fault) : default,
        _ => RefuseAsync(filter),
    };

    /// <summary>The answer of a policy.</summary>
    public FilterAnswer Refuse(Refusal refusal) => new(LocalReply.Prepare(response, Request, refusal, record), refusal.Details, refusal.Reason);

    private ValueTask<FilterAnswer?> Edit(HeaderMutationFilter mutation)
    {
        foreach (var edits in mutation.For(Route())) HeaderEditing.Request(Request, edits, record);
        // What follows from fields, such as the address of the client, is another one now.
        Access?.Forget();
        return default;
    }

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
