using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Generate;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks the caller's proxy: its own tables choose listener, filter chain and route.</summary>
internal sealed class OutboundStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, EndpointsStep endpoints)
{
    /// <summary>The code of injected aborts, also of those that hit only a share of the requests.</summary>
    public const string PartialAbort = "ISM2026";

    /// <summary>The code of injected delays: calls get through, and take longer.</summary>
    public const string Delayed = "ISM2092";

    /// <summary>A VirtualService for requests of a port on which proxies know none.</summary>
    public const string Untyped = "ISM2095";

    public void Walk(ProxyView view)
    {
        var specific = view.Decisions.For(call.Destination);
        if ((specific ?? view.Decisions.Outbound) is not { } listener)
        {
            record.Fail("listener", $"none for {call.Destination}", causes.Availability.Unconfigured(facts.Client, "its proxy has no outbound listener"));
            return;
        }
        record.Ok("listener", specific is null ? $"{listener.Name}: no other listener matches {call.Destination}" : listener.Name);
        // A connection meets the filters of the listener that takes all of them, and of its own.
        if (new[] { view.Decisions.Outbound, specific }.OfType<ListenerView>()
            .Any(met => !LackedFilters.Pass(record, "listener", view, $"{facts.Client}", met, call.Destination.Port))) return;
        var isTls = call.Kind == CallKinds.Tls && listener.ReadsTls(call.Destination.Port);
        var isHttp = call.IsPlainHttp && listener.ReadsHttp(call.Destination.Port);
        if (listener.Choose(call.Destination, call.ClientEnd, isTls ? facts.Target.Host : null, isHttp ? call.Detected : []) is not { } chain)
        {
            record.Fail("filter chain", $"none of {listener.Name}",
                DeclaredPort.Of(call)?.Contradiction(call)
                    ?? Faults.Of("ISM2021", facts.Client.ToString(), $"listener {listener.Name}", $"no filter chain accepts a connection of kind {call.Kind}",
                        "inspect it with 'isthmus proxy-config listeners'"));
            return;
        }
        if (LackedFilters.Pass(record, "filter chain", view, $"{facts.Client}", chain, call.Request())) WalkChain(view, chain);
    }

    /// <summary>Follows the chain that accepts the connection.</summary>
    public void WalkChain(ProxyView view, ChainView chain)
    {
        var name = chain.Name.Length > 0 ? chain.Name : chain.Takes.Length > 0 ? chain.Takes : "the only chain";
        if (chain.IsTcp)
        {
            var rule = IstioMetadata.ConfigOf(chain.Metadata?.FilterMetadata);
            WalkTcp($"{name} → TCP to {string.Join(", ", chain.Targets.Select(target => target.Cluster))}", rule);
            WalkTargets(new(view, chain.Targets, rule, default, false));
        }
        else if (chain.IsHttp)
        {
            record.Ok("filter chain", $"{name} → HTTP, routes {chain.RouteName}");
            WalkRoute(view, chain);
        }
    }

    /// <summary>Requests on a port of TCP get through, but proxies only copy their bytes.</summary>
    private void WalkTcp(string summary, string rule)
    {
        var declared = call.IsPlainHttp && DeclaredPort.Of(call) is { IsBytes: true } port ? port : null;
        var ignored = declared is null || call.Host is null ? null : causes.Config.RoutingRequests(call.Host).FirstOrDefault();
        if (ignored is not null)
        {
            record.Warn("filter chain", summary,
                Faults.Of(Untyped, $"VirtualService {ignored.Namespace}/{ignored.Name} in {causes.Config.At.Context}", "spec.http",
                $"has no effect: {declared!.Field} of {declared.Object} declares {declared.Name}, so proxies copy bytes there and know no requests",
                "if the application speaks HTTP or gRPC, name the port http-… or grpc-…, or set appProtocol"),
                HopFacts.Rule(rule));
            return;
        }
        record.Ok("filter chain", summary, HopFacts.Rule(rule),
            ("untyped",
                declared is null
                    ? ""
                    : $"{declared.Field} of {declared.Object} declares {declared.Name}: routes, retries, policies and metrics of requests do not apply"));
    }

    private void WalkRoute(ProxyView view, ChainView chain)
    {
        if (chain.Route(call.Request(), "http", call.Admitted?.Learned) is not { } choice)
        {
            record.Fail("route", $"routes {chain.RouteName} are missing",
                Faults.Of("ISM2022", facts.Client.ToString(), $"routes {chain.RouteName}", "the proxy waits for these routes",
                    $"isthmus proxy-status --context={facts.Client.Context}"));
            return;
        }
        if (choice.Host is not { } host)
        {
            record.Fail("route", $"no virtual host for {call.Authority}",
                causes.Entries.Unrouted(call) ?? causes.Hosts.Unrouted(call.Host, call.Port, call.Destination)
                ?? Faults.Of("ISM2023", $"host {call.Authority}", "", $"no virtual host in routes {choice.Table} matches it: the response is 404",
                    "inspect them with 'isthmus proxy-config routes'"));
            return;
        }
        if (call.Admitted is { IsUnsure: true } && choice.AsksFilters)
        {
            record.Add("route", HopStatus.Unknown, $"{host}: chosen by claims of a token whose keys only the proxy of {facts.Client} can fetch", null);
            return;
        }
        if (choice.Route is not { } route)
        {
            var owner = IstioMetadata.RuleOf(choice.OfFirst?.FilterMetadata);
            if (causes.Entries.Unrouted(call) is { } unrouted)
            {
                record.Fail("route", $"{host}: no route for {call.Authority}", unrouted);
                return;
            }
            if (choice.HasNoRoutes && call.Host is { } meant
                && CallerRoutes.NoneFor(facts.ClientPod, call.Port, causes.Config.RoutingRequests(meant)) is { } none)
            {
                record.Fail("route", $"{host}: no route for {call.Path}",
                    Faults.Of("ISM2024", $"VirtualService {none.Service.Namespace}/{none.Service.Name} in {causes.Config.At.Context}", none.Field,
                    $"{none.Why}: no route of the host is left for this caller, and the response is 404",
                        "correct the match, or add a route without match at the end"));
                return;
            }
            if (call.Host is { } about && causes.Config.Orphaned(about) is { } orphan)
            {
                record.Fail("route", $"{host}: no route for {call.Path}",
                    Faults.Of("ISM2024", $"VirtualService {orphan.Service.Namespace}/{orphan.Service.Name} in {causes.Config.At.Context}", orphan.Field,
                        $"leaves requests to VirtualService {orphan.Delegate.Namespace}/{orphan.Delegate.Name}, which does not exist: "
                            + $"no other route matches {call.Method} {call.Path}, and the response is 404",
                        "create that VirtualService, without hosts, or correct its name or namespace"));
                return;
            }
            var ignored = call.Host is { } called
                ? string.Join(" and ", causes.Config.Overridden(owner, called).Select(other => $"{other.Namespace}/{other.Name}"))
                : "";
            record.Fail("route", $"{host}: no route for {call.Path}",
                Faults.Of("ISM2024", causes.Config.Named("VirtualService", owner, $"virtual host {host}"),
                IstioMetadata.IsOfGatewayApi(owner) ? "spec.rules[*].matches" : "spec.http[*].match",
                $"none of its routes matches {call.Method} {call.Path}: the response is "
                    + $"404{MissedClaims(choice)}{(ignored.Length > 0 ? $". VirtualService {ignored} is for the same host, and has no effect because this one is older" : "")}",
                choice.AsksFilters && call.Admitted is { HasToken: false }
                    ? "send a token (isthmus trace --jwt TOKEN), or add a route without claims at the end"
                    : ignored.Length > 0
                    ? "merge them into one VirtualService"
                    : "add a route that matches it, or one without match at the end"));
            return;
        }
        WalkAct(view, chain, choice, route);
    }

    private void WalkAct(ProxyView view, ChainView chain, RouteChoice choice, RouteView route)
    {
        var (host, rule) = (choice.Host, IstioMetadata.RuleOf(route.Metadata?.FilterMetadata));
        var owner = causes.Config.Named("VirtualService", rule, $"virtual host {host}");
        var summary = $"{host}, route {route.Name}";
        if (call.Admitted is { } admitted && choice.AsksFilters)
            summary += admitted.HasToken ? ", chosen with the claims of the token" : ", chosen without claims: the call has no valid token";
        if (route.Unread is { } unread && !LackedFilters.Pass(record, "route", view, $"{facts.Client}", summary, unread)) return;
        switch (route.Act)
        {
            case RedirectView redirect:
                record.Ok("route", $"{summary}: responds with a redirect, {redirect.Status}", HopFacts.Rule(rule));
                return;
            case AnswerView when host == ResourceNames.BlockAll:
                record.Fail("route", $"no virtual host for {call.Authority}", causes.Hosts.Blocked(call));
                return;
            case AnswerView { Status: 500 } when IstioMetadata.IsOfGatewayApi(rule):
                record.Fail("route", summary, causes.Config.Failing(rule, route.Name), HopFacts.Rule(rule));
                return;
            case AnswerView { Status: >= 500 } direct:
                record.Fail("route", summary,
                    Faults.Of("ISM2025", owner, "spec.http[*].directResponse", $"responds with status {direct.Status} directly",
                        "route to a destination instead"),
                    HopFacts.Rule(rule));
                return;
            case AnswerView direct:
                record.Ok("route", $"{summary}: responds with status {direct.Status} directly", HopFacts.Rule(rule));
                return;
        }
        var act = (ForwardView)route.Act;
        var fault = route.Fault(call.Request(), "http");
        (string,
            string)[] details = [HopFacts.Rule(rule),
                (HopFacts.TimeoutFact, act.Timeout > TimeSpan.Zero ? act.Timeout.ToString("g", CultureInfo.InvariantCulture) : ""),
            ("retries", act.Retries is { } retries ? $"{retries} more" : ""),
            (HopFacts.TryTimeoutFact, act.TryTimeout > TimeSpan.Zero ? act.TryTimeout.ToString("g", CultureInfo.InvariantCulture)
                : ""), (HopFacts.DelayFact, DelayOf(fault)), (HopFacts.RewriteFact, route.Rewritten(call.Path) is { } path ? $"{call.Path} to {path}" : "")];
        if (fault?.AbortShare >= 1_000_000)
        {
            record.Fail("route", summary, Injected(fault, owner)!, details);
            return;
        }
        if (Injected(fault, owner) is { } problem) record.Warn("route", summary, problem, details);
        else record.Ok("route", summary, details);
        WalkTargets(new(view, act.Targets, rule, chain.Alpn, true) { IsHttp2 = call.Kind == CallKinds.Grpc });
    }

    private string MissedClaims(RouteChoice choice) => !choice.AsksFilters ? ""
        : call.Admitted is not { } admitted ? ". Some match claims of tokens, which only gateways know"
        : $". Some match claims of tokens, and this call has {(admitted.HasToken ? "others" : "no valid token")}";

    /// <summary>What a fault does to the call; null when it does nothing.</summary>
    private static Problem? Injected(FaultView? fault, string owner)
    {
        var later = DelayOf(fault) is { Length: > 0 } delay ? $", and a delay of {delay}" : "";
        return fault is { AbortShare: > 0 }
            ? Faults.Of(PartialAbort, owner, "spec.http[*].fault.abort",
                $"injects {(fault.GrpcStatus is { } grpc ? $"grpc-status {grpc}" : $"status {fault.AbortStatus}")} into {Share(fault.AbortShare)} of the "
                    + $"requests{later}",
                "remove the fault")
            : fault is { DelayShare: > 0 } && fault.Delay > TimeSpan.Zero
            ? Faults.Of(Delayed, owner, "spec.http[*].fault.delay", $"delays {Share(fault.DelayShare)} of the calls by {Length(fault.Delay)}",
                "remove the fault, unless it is meant")
            : null;
    }

    /// <summary>How long a fault delays the call; empty when none does.</summary>
    private static string DelayOf(FaultView? fault) =>
        fault is { DelayShare: > 0 } && fault.Delay > TimeSpan.Zero ? $"{Length(fault.Delay)} for {Share(fault.DelayShare)} of the requests" : "";

    private static string Share(int ofMillion) => string.Create(CultureInfo.InvariantCulture, $"{ofMillion / 10000.0:0.##} %");

    private static string Length(TimeSpan delay) => string.Create(CultureInfo.InvariantCulture, $"{delay.TotalSeconds:0.###} s");

    private void WalkTargets(OutboundChoice outbound)
    {
        var total = outbound.Targets.Sum(target => target.Weight);
        foreach (var (name, weight) in outbound.Targets.Where(target => target.Weight > 0 || outbound.Targets.Count == 1))
        {
            record.EndWay();
            var percent = total > 0 ? (int)Math.Round(100.0 * weight / total) : 100;
            if (name is ResourceNames.Passthrough or ResourceNames.BlackHole or ResourceNames.DynamicDns
                || name.StartsWith("InboundPassthrough", StringComparison.Ordinal))
                WalkUnrouted(name);
            else if (outbound.View.Decisions.Cluster(name) is { } cluster) endpoints.WalkCluster(outbound, cluster, percent);
            else record.Fail("cluster", $"{name} does not exist", causes.Hosts.MissingCluster(name, outbound.Rule),
                ("share", percent < 100 ? $"{percent} %" : ""));
        }
        record.EndWay();
    }

    /// <summary>The proxy knows no service at this address: it passes the connection through unchanged, or closes
    /// it.</summary>
    private void WalkUnrouted(string cluster)
    {
        var problem = causes.Hosts.Unrouted(call.Host, call.Port, call.Destination);
        if (cluster == ResourceNames.BlackHole)
        {
            record.Fail("cluster", "BlackHoleCluster: the connection is closed",
                problem ?? DeclaredPort.Of(call)?.Contradiction(call) ?? causes.Hosts.Blocked(call));
            return;
        }
        if (problem is { Code: Faults.NoSuchPort })
        {
            record.Fail("cluster", $"{cluster}: no service has {call.Destination}", problem);
            return;
        }
        if (DeclaredPort.Of(call)?.Contradiction(call) is { } contradiction)
            record.Warn("cluster", $"{cluster}: passed through unchanged", contradiction);
        else if (problem is not null)
            record.Warn("cluster", $"{cluster}: the proxy does not know {call.Host?.Fqdn ?? facts.Target.Host}, so the call leaves in plain text", problem);
        else if (cluster == ResourceNames.DynamicDns)
            record.Ok("cluster", $"{cluster}: plain HTTP, outside the mesh, to the address that the request's host has");
        else record.Ok("cluster", $"{cluster}: passed through unchanged, outside the mesh");
        endpoints.WalkPlain();
    }
}
