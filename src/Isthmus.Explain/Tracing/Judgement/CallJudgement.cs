using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Steps;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>Combines the judgement of the configuration with the outcome of the real call.</summary>
internal static class CallJudgement
{
    /// <summary>Codes of warnings that explain a later failure. The hop with such a warning then counts as the one that
    /// fails.</summary>
    private static readonly HashSet<string> Explaining = ["ISM2012", "ISM2013", "ISM2014", "ISM2015", "ISM2017", "ISM2018", "ISM2020", "ISM1003", "ISM1018",
        "ISM1019", "ISM1020", "ISM1021", "ISM1026", "ISM1005", "ISM1007", "ISM1014", "ISM1016", "ISM2048", "ISM2093", "ISM2105", "ISM2117", "ISM2147",
        CallerCauses.Aliased, AddressCauses.Code, GoneRevision.Code];

    public static CallTrace Judge(TracedCall traced, CallTrace trace) =>
        RepeatedCalls.Tell(CrossOrigins.Tell(ForeignRoute.Tell(traced, Unreached(OneRemedy(Outcome(traced, trace)))), traced.Facts), traced.Facts);

    /// <summary>What comes after the hop that fails on its way, and after the endpoint to which the call was not connected, did not pass.</summary>
    private static CallTrace Unreached(CallTrace trace)
    {
        var call = trace.Call is { Answered: false, IsConnected: false } made && (made.HasFlag("UF") || made.IsOutOfTime) ? made : null;
        if (trace.Failure is not { } failure) return trace;
        var hops = trace.Hops.ToList();
        var (failed, isFrom) = (hops.IndexOf(failure), true);
        for (var at = 0; at < hops.Count; at++)
        {
            if (at > failed) isFrom &= hops[at].Name != "cluster" || hops[at].Way > 0 || failure.Name == "call";
            if ((at > failed && isFrom && (failure.Way == 0 || hops[at].Way == failure.Way))
                || (at < failed && failure.Way == 0 && call is not null && hops[at].Way > 0 && trace.Took(hops[at].Way, call))) hops[at] = hops[at].Unreached();
        }
        return trace with { Hops = hops.ToValueList() };
    }

    /// <summary>Connections failed, and endpoints were ejected, for the reason that a later hop gives: only that one is a cause.</summary>
    private static CallTrace OneRemedy(CallTrace trace) => trace.Failure is not { } failure ? trace : trace with
    {
        Hops = trace.Hops.TakeWhile(hop => !ReferenceEquals(hop, failure)).Select(hop =>
            hop.Problem?.Message.StartsWith(EndpointsStep.AllEjected, StringComparison.Ordinal) == true
                ? hop with { Problem = null, Summary = $"{hop.Summary}: {hop.Problem.Message}, which follows from what fails below" } : hop)
            .Concat(trace.Hops.SkipWhile(hop => !ReferenceEquals(hop, failure))).ToValueList(),
    };

    private static CallTrace Outcome(TracedCall traced, CallTrace trace)
    {
        var facts = traced.Facts;
        if (facts.Call is { } made && Arrived(facts, made))
            trace = trace with { Hops = trace.Hops.Where(hop => hop.Problem?.Code != PacketCauses.Code).ToValueList() };
        if (facts.Call is { Answered: true, Status: >= 200 and < 400 } served)
            trace = trace with { Hops = trace.Hops.Where(hop => hop.Problem?.Code != PodStep.ProxyPort || !IsOnWay(hop, trace, served)).ToValueList() };
        if (facts.Call is { Answered: true } or { IsConnected: true })
            trace = trace with
            {
                Hops = trace.Hops.Select(hop => hop.Problem?.Code == AddressCauses.Code ? hop with { Status = HopStatus.Unknown, Problem = null } : hop)
                    .ToValueList(),
            };
        if (facts.Call is { } met && !IsServed(facts, trace, met)) trace = Elsewhere(trace, met);
        if (trace.Failure is { } failure) trace = Promote(trace, failure);
        trace = PastCalls.In(traced, Ejected(traced, trace));
        if (facts.Call is not { } call)
            return facts.TakenAt is { } taken
                ? NotMade(trace, FormattableString.Invariant($"the clusters are those of a snapshot of {taken:yyyy-MM-dd HH:mm:ss}Z"))
            : facts.Entry is not null ? NotMade(trace, "only a client outside can make it")
            : facts.NotMade.Length > 0 ? NotMade(trace, facts.NotMade) : trace;
        if (IsServed(facts, trace, call))
        {
            var through = call.IsAnsweredByCaller ? SentNowhere(trace) : Retried(traced, Soften(trace, call), call);
            var told = OldProtocol.Tell(Unaccepted(Unbound(Rewritten(through, call, facts), call, facts), call, facts), call);
            return SeenCertificate.Tell(traced, Append(UnexpectedRoute.Tell(RoutesOfOthers.Tell(told, call, facts), call, facts), HopStatus.Ok, call, null),
                call);
        }
        if (trace.Failure is not null) return Append(trace, HopStatus.Failed, call, null);
        if (trace.Hops.Any(hop => IsExplaining(hop, trace, call))) return Append(Promote(trace, null), HopStatus.Failed, call, null);
        return Append(trace, HopStatus.Failed, call, new CallBlame(traced, trace, call).Find());
    }

    /// <summary>Whether the application served the call, as far as anybody can tell: neither a proxy nor a policy on its way answered instead.</summary>
    private static bool IsServed(TraceFacts facts, CallTrace trace, MadeCall call)
    {
        if (!call.Answered || IsFailure(call)) return false;
        // A proxy that denies a call responds, or closes the connection, just as an application would. Many servers close once the caller has ended its
        // direction: that is a failure only if the configuration forbids the call, or does not work, on the way that the call took.
        var mayBeDenied = !call.IsAnsweredByCaller && (call.Status is 401 or 403 || call.GrpcStatus is 7 or 16);
        var isClosed = call.Status == 0 && call.Says == CallReading.Closed;
        var isDenied = ((mayBeDenied || isClosed)
                && facts.Sightings.All.Any(sighting => sighting.Details.StartsWith("rbac_access_denied", StringComparison.Ordinal)))
            || (mayBeDenied && trace.Hops.Any(hop => IsOfPolicy(hop) && !IsElsewhere(hop, trace, call)))
            || (isClosed && trace.Hops.Any(hop => hop.Status == HopStatus.Failed && IsOnWay(hop, trace, call)));
        var isRefused = facts.Sightings.All.Any(seen => seen.IsRequest && RefusingFilter.Find("", seen.Flags, seen.Details) is not null);
        // Only the proxy ever answers: with a redirect, or once the headers that gateways add are too many.
        var isSentAround = call.Status is 431 or (>= 300 and < 400) && trace.Hops.Any(hop => hop.Problem?.Code is OutboundStep.Loop or RedirectTargets.Code);
        // A gateway on the way that has no route answers itself.
        var isUnrouted = call.Status == 404
            && trace.Hops.Any(hop => hop is { Status: HopStatus.Failed, Name: TraceRecord.GatewayRoute } && IsOnWay(hop, trace, call));
        return !isDenied && !isRefused && !isSentAround && !isUnrouted;
    }

    /// <summary>Whether an answer says that the call was not served: errors of the server, and that there were too many. Other statuses are for the
    /// application to judge, such as that a name is not found. Whoever wants a WebSocket gets it, or is not served.</summary>
    internal static bool IsFailure(MadeCall call) =>
        call.IsUpgraded == false || call.IsTakenForRequest || call.Status is 429 or >= 500 || call.GrpcStatus is 2 or 4 or 8 or 13 or 14 or 15;

    /// <summary>A route may divide calls among clusters, and one that has reached an endpoint has found a cluster with endpoints.</summary>
    private static bool IsOnWay(Hop hop, CallTrace trace, MadeCall call) => hop.Way > 0 ? trace.Took(hop.Way, call)
        : hop.Name is not ("cluster" or "endpoints") || call.Upstream.Length == 0;

    /// <summary>Whether the call went to endpoints of the cluster that a hop is about.</summary>
    private static bool IsOfTarget(Hop hop, CallTrace trace, MadeCall call) => trace.Hops.Count(one => one.Name == "cluster") <= 1
        || trace.Hops.SkipWhile(one => !ReferenceEquals(one, hop)).Skip(1).TakeWhile(one => one.Name != "cluster")
            .Any(one => one.Way > 0 && trace.Took(one.Way, call));

    /// <summary>Whether a hop is on a way that the call is known not to have taken.</summary>
    private static bool IsElsewhere(Hop hop, CallTrace trace, MadeCall? call) =>
        call is not null && hop.Way > 0 && !trace.Took(hop.Way, call) && trace.Ways.Any(way => way.Names(call.Upstream));

    /// <summary>What stops calls on other ways does not explain why this one failed.</summary>
    private static CallTrace Elsewhere(CallTrace trace, MadeCall call) => !trace.Ways.Any(way => way.Names(call.Upstream)) ? trace : trace with
    {
        Hops = trace.Hops.Select(hop => hop.Status == HopStatus.Failed
            && (hop.Way > 0 ? !trace.Took(hop.Way, call) : hop.Name is "cluster" or "endpoints" && !IsOfTarget(hop, trace, call))
            ? hop with { Status = HopStatus.Warning } : hop).ToValueList(),
    };

    /// <summary>A route tries calls again at other endpoints of the cluster that answered: what stops those that begin elsewhere costs time, and is not
    /// noticed.</summary>
    private static CallTrace Retried(TracedCall traced, CallTrace trace, MadeCall call)
    {
        var route = trace.Hops.FirstOrDefault(hop => hop.Name == "route");
        if (route is null || Told(route, HopFacts.RetriesFact) is "" or "0 more") return trace;
        var hops = trace.Hops.ToList();
        var begin = 0;
        for (var at = 0; at < hops.Count; at++)
        {
            if (hops[at].Name == "cluster") begin = at;
            if (hops[at] is not { Status: HopStatus.Failed, Way: > 0 } failed || !IsTriedAgain(traced, failed)
                || !hops.Skip(begin + 1).TakeWhile(hop => hop.Name != "cluster").Any(hop => hop.Way > 0 && trace.Took(hop.Way, call))) continue;
            hops[at] = failed with { Status = HopStatus.Warning, Problem = failed.Problem! with { Severity = Severity.Warning } };
        }
        return trace with { Hops = hops.ToValueList() };
    }

    /// <summary>Whether a call that ends at a hop is tried again: connections that fail are, and answers of policies and routes are not.</summary>
    private static bool IsTriedAgain(TracedCall traced, Hop hop) => hop.Name is "TLS" or "SNI" or "application" or "service"
        || (hop.Name.StartsWith("gateway", StringComparison.Ordinal) && hop.Name is not (TraceRecord.GatewayRoute or GatewayStep.PolicyHop))
        // A policy at a port of bytes closes the connection.
        || (hop is { Name: "inbound", Problem: { } problem } && traced.Host?.Services.Any(service => service.Port(traced.Port) is { } port
            && Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port) == Protocol.Tcp
            && problem.Object.EndsWith($" in {service.Cluster.Context}", StringComparison.Ordinal)) == true);

    private static bool IsOfPolicy(Hop hop) => hop.Problem is { } problem && IsOfPolicy(problem);

    internal static bool IsOfPolicy(Problem problem) => problem.Code is "ISM2064" or "ISM2082" or "ISM2096" or LackedFilters.Code;

    private static CallTrace NotMade(CallTrace trace, string why) =>
        trace with { Hops = trace.Hops.Append(new("call", 0, HopStatus.Unknown, $"not made: {why}", default)).ToValueList() };

    /// <summary>Whether the packets of the call reached its end. NetworkPolicies that seem to drop them then have no effect.</summary>
    private static bool Arrived(TraceFacts facts, MadeCall call) => call.Answered
        || facts.Sightings.All.Any(sighting => sighting.IsRequest || sighting.Details.StartsWith("rbac_access_denied", StringComparison.Ordinal))
        || (facts.Sightings.All.Count > 0 && IPEndPoint.TryParse(call.Upstream, out var upstream) && GatewayPlace.Find(facts, upstream) is null);

    /// <summary>Whether a hop is about other workloads than the one that the call goes to, or about calls that the trace does not make.</summary>
    internal static bool IsOfOthers(Hop hop) => hop.Name is CapacityStep.Hop or MirrorStep.Hop or ForwardProxies.Hop;

    /// <summary>Workloads that get no calls explain no failure of one that does, and an address that a gateway lacks none within it.</summary>
    private static bool IsExplaining(Hop hop, CallTrace trace, MadeCall? call) =>
        hop is { Status: HopStatus.Warning, Problem: { } problem } && !IsOfOthers(hop) && hop.Name != "gateway" && !IsElsewhere(hop, trace, call)
        && (Explaining.Contains(problem.Code)
        || (problem.Code is PacketCauses.Code or GatewayStrangers.Code && call is { Answered: false }
            && (hop.Way == 0 || call.Upstream.Length == 0 || trace.Ways[hop.Way - 1].Names(call.Upstream)))
        || (problem.Code == OutboundStep.PartialAbort && call?.HasFlag("FI") == true));

    /// <summary>Turns a warning into the failure when it explains the failure after it.</summary>
    private static CallTrace Promote(CallTrace trace, Hop? failure)
    {
        var hops = trace.Hops.ToList();
        var failed = failure is null ? hops.Count : hops.IndexOf(failure);
        var at = hops.FindIndex(0, failed, hop => IsExplaining(hop, trace, trace.Call) && (failure is null || hop.Way == 0 || hop.Way == failure.Way));
        // Connections failed before their endpoints were ejected: what makes them fail is on the way to these.
        if (at < 0 && failure?.Problem?.Message.StartsWith(EndpointsStep.AllEjected, StringComparison.Ordinal) == true)
        {
            at = hops.FindIndex(failed, hop => IsExplaining(hop, trace, trace.Call));
            if (at >= 0) hops[failed] = failure with { Status = HopStatus.Warning, Problem = failure.Problem with { Severity = Severity.Warning } };
        }
        if (at < 0) return trace;
        hops[at] = hops[at] with { Status = HopStatus.Failed, Problem = hops[at].Problem! with { Severity = Severity.Error } };
        return trace with { Hops = hops.ToValueList() };
    }

    /// <summary>Where no hop says why all endpoints are ejected, the last call that failed there does.</summary>
    private static CallTrace Ejected(TracedCall traced, CallTrace trace)
    {
        const string Cluster = "cluster ";
        if (trace.Failure is not { Problem: { } problem } failure || !problem.Message.StartsWith(EndpointsStep.AllEjected, StringComparison.Ordinal)
            || traced.Sidecar?.Ejections.FirstOrDefault(one => $"{Cluster}{one.Cluster}" == problem.Object) is not { } last) return trace;
        var status = last.Flag == "UT" ? 504 : last.Status;
        var call = new MadeCall("", last.Status > 0, status, 0, last.Address, last.Flag.Length > 0 ? last.Flag : "-", last.Reason, []);
        var cause = new CallBlame(traced, trace with { Hops = trace.Hops.Where(hop => hop != failure).ToValueList() }, call).Find();
        return trace with
        {
            Hops = trace.Hops.Select(hop => hop != failure ? hop : hop with { Problem = cause with { Message = $"{cause.Message}; {problem.Message}" } })
                .ToValueList(),
        };
    }

    /// <summary>The call got through, so no failure stops every call. Paths that the call did not take may still be
    /// broken.</summary>
    private static CallTrace Soften(CallTrace trace, MadeCall call) => trace with
    {
        Hops = trace.Hops.Select(hop => hop.Status == HopStatus.Failed
            && (hop.Way > 0 ? trace.Took(hop.Way, call) : hop.Name is not ("cluster" or "endpoints") || IsOfTarget(hop, trace, call))
            ? hop with { Status = HopStatus.Warning } : hop).ToValueList(),
    };

    /// <summary>The call got no further than the caller's proxy. Policies judge requests, and none came to them; whatever else is wrong on the ways
    /// awaits other calls.</summary>
    private static CallTrace SentNowhere(CallTrace trace) => trace with
    {
        Hops = trace.Hops.Select(hop => hop.Way > 0 && IsOfPolicy(hop)
            ? new(hop.Name, hop.Way, HopStatus.Unknown, "not reached: the caller's proxy answers by itself", hop.Facts)
            : hop.Status == HopStatus.Failed ? hop with { Status = HopStatus.Warning } : hop).ToValueList(),
    };

    /// <summary>The application does not know the path that it gets, which is not the one that was called.</summary>
    private static CallTrace Rewritten(CallTrace trace, MadeCall call, TraceFacts facts)
    {
        var hops = trace.Hops.ToList();
        var at = call.Status == 404 ? hops.FindIndex(hop => hop.Name == "route" && Told(hop, HopFacts.RewriteFact).Length > 0) : -1;
        if (at < 0) return trace;
        var (rule, api) = (Told(hops[at], HopFacts.RuleFact), Told(hops[at], HopFacts.ApiRuleFact));
        hops[at] = hops[at] with
        {
            Status = HopStatus.Warning,
            Problem = Faults.Of("ISM2109", $"{(api.Length > 0 ? api : $"VirtualService {rule}")} in {facts.ConfigOf(facts.Home).Context}",
                api.Length > 0 ? "spec.rules[*].filters[*].urlRewrite.path" : "spec.http[*].rewrite",
                $"changes the path {Told(hops[at], HopFacts.RewriteFact)}, and the answer to that is 404",
                "let it make a path that the application has, or remove it") with { Severity = Severity.Warning },
        };
        return trace with { Hops = hops.ToValueList() };
    }

    /// <summary>The application does not know the path, and a VirtualService of the host, which may have been meant to change it, is only for
    /// gateways.</summary>
    private static CallTrace Unbound(CallTrace trace, MadeCall call, TraceFacts facts)
    {
        if (trace.Hops.Where(hop => hop.Name == "cluster").Select(hop => hop.Summary.Split('|')).FirstOrDefault(parts => parts.Length == 4) is not { } name)
            return trace;
        var config = facts.ConfigOf(facts.Home);
        var path = facts.Target.Path.Length > 0 ? facts.Target.Path : "/";
        if (config.Istio<VirtualService>().FirstOrDefault(one => !one.ForSidecars && one.Hosts.Contains(name[3])
            && Visibility.Allows(one.ExportTo, one.Namespace, facts.Client.Namespace) && one.Http.Any(rule => WouldChange(rule, path))) is not { } unbound)
            return trace;
        return UnknownPath.Tell(trace, call, hop => !UnknownPath.IsDefault(hop) ? null
            : Faults.Of("ISM2112", $"VirtualService {unbound.Namespace}/{unbound.Name} in {config.Context}", "spec.gateways",
                $"is for calls through {string.Join(", ", unbound.Gateways)} only, so this call is not subject to it, and the answer is 404",
                "if callers within the mesh should be subject to it, add mesh to the list"));
    }

    /// <summary>The application does not know the path, and a route of the Gateway API, which may have been meant to change it, is for a port that the
    /// Service does not have.</summary>
    private static CallTrace Unaccepted(CallTrace trace, MadeCall call, TraceFacts facts)
    {
        var hops = trace.Hops.ToList();
        var at = call.Status == 404 && facts.Entry is null ? hops.FindIndex(hop => hop is { Name: "route", Status: HopStatus.Ok }
            && Told(hop, HopFacts.ApiRuleFact).Length == 0) : -1;
        if (at < 0 || facts.Host(facts.Target.Host, facts.Client.Namespace) is not { Services: [var service, ..] } host)
            return trace;
        var config = facts.ConfigOf(facts.Home);
        foreach (var route in config.ApiRoutes)
        {
            var parents = route.Parents.ToList();
            var index = parents.FindIndex(parent => parent is { Kind: "Service", Group: "" } && parent.Name == host.Name
                && parent.Namespace == host.Namespace && parent.Port > 0 && host.Services.All(one => one.Port(parent.Port) is null));
            if (index >= 0)
                return Idle(route, $"spec.parentRefs[{index}].port",
                    $"is {parents[index].Port}, and {service.Name} has {ServicePods.Ports(service.Service)}: the route has no effect, and the answer is 404",
                    service.Service.Spec.Ports is [{ Port: var only }] ? $"write {only} there" : "write a port of the Service there, or remove the field");
            var astray = parents.FindIndex(parent => parent is { Kind: "Service", Group: "" } && parent.Name == host.Name
                && parent.Namespace != host.Namespace && facts.Clusters.All(cluster => cluster.Service(parent.Namespace, parent.Name) is null));
            if (astray >= 0)
                return Idle(route, $"spec.parentRefs[{astray}].namespace",
                    $"leads to Service {parents[astray].Namespace}/{host.Name}, which does not exist, and not to {service.Name}: the route has no effect, and "
                        + "the answer is 404", $"create the route in namespace {host.Namespace}");
        }
        return trace;

        CallTrace Idle(ApiRoute route, string field, string message, string remedy)
        {
            hops[at] = hops[at] with
            {
                Status = HopStatus.Warning,
                Problem = Faults.Of("ISM2119", $"{route.Source.Kind} {route.Namespace}/{route.Name} in {config.Context}", field, message, remedy) with
                {
                    Severity = Severity.Warning,
                },
            };
            return trace with { Hops = hops.ToValueList() };
        }
    }

    /// <summary>Whether a route has the path, and the application would get another one, or would not be asked.</summary>
    internal static bool WouldChange(HttpRoute rule, string path) =>
        (rule.Rewrite is not null || rule.Redirect is not null || rule.Direct is not null || rule.Delegate is not null)
            && Takes(rule.Matches, path);

    internal static bool WouldChange(ApiRule rule, string path) =>
        (rule.Filters.Rewrite is not null || rule.Filters.Redirect is not null || rule.Filters.Direct is not null) && Takes(rule.Matches, path);

    private static bool Takes(ValueList<HttpMatch> matches, string path) =>
        matches.IsEmpty || matches.Any(match => match.Uri is not { } uri || uri.Kind switch
        {
            MatchKind.Exact => path == uri.Value,
            MatchKind.Prefix => path.StartsWith(uri.Value, StringComparison.Ordinal),
            MatchKind.PathPrefix => uri.Value == "/" || path == uri.Value || path.StartsWith($"{uri.Value}/", StringComparison.Ordinal),
            // Who writes a pattern for paths mostly means to change them.
            _ => true,
        });

    private static string Told(Hop hop, string fact) => hop.Facts.FirstOrDefault(one => one.Name == fact)?.Value ?? "";

    /// <summary>What came of a call, in a word.</summary>
    internal static string Said(MadeCall call) =>
        call.Status > 0
            ? $"{call.Status}{(call.GrpcStatus is { } grpc ? $", grpc-status {grpc}" : "")}"
            : call.Answered
            ? $"{Connected(call.Says)}{(call.IsTakenForRequest ? " with HTTP/1.1 400" : "")}"
            : call.Detail.Length > 0
            ? call.Detail
            : "no answer";

    private static string Connected(string says) => says switch
    {
        "first" => "connected; the server speaks first",
        "after the end" or "to the data" => "connected; the server answers",
        CallReading.Closed => "connected; the server closes",
        "nothing" => "connected; the server says nothing by itself",
        _ => "connected",
    };

    private static CallTrace Append(CallTrace trace, HopStatus status, MadeCall call, Problem? problem)
    {
        var details = new List<Fact>();
        if (call.Upstream.Length > 0) details.Add(new("went to", call.Upstream));
        if (call.Flags is { Length: > 0 } and not "-") details.Add(new("flags", call.Flags));
        if (call.Status > 0 && call.Detail.Length > 0) details.Add(new("detail", call.Detail));
        if (call.Shown is [var shown, ..]) details.Add(new("certificate", SeenCertificate.Line(shown)));
        return trace with
        {
            Hops = trace.Hops.Append(new("call", 0, status, FormattableString.Invariant($"{call.What} → {Said(call)} in {call.Milliseconds:0.#} ms"),
                details.ToValueList(), problem))
                .ToValueList()
        };
    }
}
