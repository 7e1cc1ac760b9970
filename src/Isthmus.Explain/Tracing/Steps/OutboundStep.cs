using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks the caller's proxy: its own tables choose listener, filter chain and route.</summary>
internal sealed class OutboundStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, EndpointsStep endpoints)
{
    /// <summary>The code of injected aborts, also of those that hit only a share of the requests.</summary>
    public const string PartialAbort = "ISM2026";

    /// <summary>The code of injected delays: calls get through, and take longer.</summary>
    public const string Delayed = "ISM2092";

    /// <summary>Whoever follows a redirect comes back to where it began.</summary>
    public const string Loop = "ISM2113";

    /// <summary>A DestinationRule for another host than the one to which a route leads.</summary>
    private const string OtherHost = "ISM2115";

    /// <summary>A VirtualService whose host a route of the Gateway API has.</summary>
    private const string HiddenByRoute = "ISM2118";

    /// <summary>The code of a route at a gateway that an older VirtualService takes.</summary>
    private const string TakenByOlder = "ISM2162";

    /// <summary>A route of the Gateway API for the host, whose parent has a wrong group.</summary>
    private const string Misgrouped = "ISM2123";

    /// <summary>A VirtualService for requests of a port on which proxies know none.</summary>
    public const string Untyped = "ISM2095";

    /// <summary>A VirtualService for connections of a port on which proxies know requests.</summary>
    private const string OfRequests = "ISM2156";

    /// <summary>Warnings of what keeps no call from its destination.</summary>
    public static readonly HashSet<string> Harmless = [Delayed, Untyped, OfRequests, EndpointsStep.TwoOfOneName];

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
                        facts.Client.Show("listeners")));
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
            var rule = IstioMetadata.RuleOf(chain.Metadata?.FilterMetadata);
            var summary = $"{name} → TCP to {string.Join(", ", chain.Targets.Select(target => target.Cluster))}";
            if (call is { Kind: CallKinds.Tls, IsDecrypted: false } && causes.PassedTls.ToRequests(chain.Targets) is var (problem, isCertain))
            {
                if (isCertain)
                {
                    record.Fail("filter chain", summary, problem, HopFacts.Rule(rule));
                    return;
                }
                record.Warn("filter chain", summary, problem, HopFacts.Rule(rule));
            }
            else WalkTcp(summary, rule, chain.Idle);
            WalkTargets(new(view, chain.Targets, rule, default, false));
        }
        else if (chain.IsHttp)
        {
            record.Ok("filter chain", $"{name} → HTTP, routes {chain.RouteName}");
            WalkRoute(view, chain);
        }
    }

    /// <summary>Requests on a port of TCP get through, but proxies only copy their bytes.</summary>
    private void WalkTcp(string summary, string rule, TimeSpan? idle)
    {
        var declared = call.IsPlainHttp && DeclaredPort.Of(call) is { } port && (port.IsBytes || port.Protocol.IsTls()) ? port : null;
        var ignored = declared is null || call.Host is null ? null : causes.Config.RoutingRequests(call.Host).FirstOrDefault();
        if (ignored is not null)
        {
            record.Warn("filter chain", summary,
                Faults.Of(Untyped, $"VirtualService {ignored.Namespace}/{ignored.Name} in {causes.Config.At.Context}", "spec.http",
                $"has no effect: {declared!.Field} of {declared.Object} declares {declared.Name}, so proxies copy bytes there and know no requests",
                call.Kind == CallKinds.Grpc ? declared.Declare("grpc") : $"if the application speaks HTTP, {declared.Declare("http")}"),
                HopFacts.Rule(rule), HopFacts.Idle(idle));
            return;
        }
        record.Ok("filter chain", summary, HopFacts.Rule(rule), HopFacts.Idle(idle),
            ("untyped",
                declared is null
                    ? ""
                    : $"{declared.Field} of {declared.Object} declares {declared.Name}: routes, retries, policies and metrics of requests do not apply"));
    }

    private void WalkRoute(ProxyView view, ChainView chain)
    {
        if (chain.Route(call.Request(), Scheme, call.Admitted?.Learned) is not { } choice)
        {
            record.Fail("route", $"routes {chain.RouteName} are missing",
                Faults.Of("ISM2022", facts.Client.ToString(), $"routes {chain.RouteName}", "the proxy waits for these routes",
                    $"isthmus proxy-status --context={facts.Client.Context}"));
            return;
        }
        if (choice.Host is not { } host)
        {
            record.Fail("route", $"no virtual host for {call.Authority}",
                causes.Entries.Unrouted(call) ?? Unmatched.Lost() ?? causes.Hosts.Unrouted(call.Host, call.Port, call.Destination)
                ?? Faults.Of("ISM2023", $"host {call.Authority}", "", $"no virtual host in routes {choice.Table} matches it: the response is 404",
                    facts.Client.Show("routes")));
            return;
        }
        if (call.Admitted is { IsUnsure: true } && choice.AsksFilters)
        {
            record.Add("route", HopStatus.Unknown, $"{host}: chosen by claims of a token whose keys only the proxy of {facts.Client} can fetch", null);
            return;
        }
        if (choice.Route is not { } route)
        {
            var unrouted = causes.Entries.Unrouted(call);
            record.Fail("route", $"{host}: no route for {(unrouted is null ? call.Path : call.Authority)}",
                unrouted ?? Unmatched.Of(choice, host));
            return;
        }
        WalkAct(view, chain, choice, route);
    }

    private UnmatchedRequest Unmatched =>
        new(call, causes.Config, causes.Entries.Ingresses, call.Host is { } meant ? causes.Config.RoutingRequests(meant) : causes.Entries.Routing(call));

    private void WalkAct(ProxyView view, ChainView chain, RouteChoice chosen, RouteView route)
    {
        var (host, rule) = (chosen.Host, causes.Entries.Ingresses.Routing(IstioMetadata.RuleOf(route.Metadata?.FilterMetadata), call));
        var owner = causes.Config.Named("VirtualService", rule, $"virtual host {host}");
        // Rules of several routes may have one name.
        var summary = $"{host}, {(route.Name.Length > 0 ? $"route {route.Name}" : "unnamed route")}"
            + $"{(rule.Contains(' ', StringComparison.Ordinal) ? $" of {rule}" : "")}";
        if (call.Host is { } meant && IstioMetadata.IsOfGatewayApi(rule) && meant.Namespace != facts.Client.Namespace
            && rule.Split(' ')[1].StartsWith($"{facts.Client.Namespace}/", StringComparison.Ordinal))
            summary += ", of the caller's namespace";
        if (call.Admitted is { } admitted && chosen.AsksFilters)
            summary += admitted.HasToken ? ", chosen with the claims of the token" : ", chosen without claims: the call has no valid token";
        if (chosen.RedirectsToHttps(Scheme))
        {
            WalkRedirectToHttps(host, rule);
            return;
        }
        if (route.Unread is { } unread && !LackedFilters.Pass(record, "route", view, $"{facts.Client}", summary, unread)) return;
        switch (route.Act)
        {
            case RedirectView redirect:
                var location = route.Location(call.Request(), Scheme) ?? "";
                WalkRedirect(chain, $"{summary}: responds with a redirect, {redirect.Status}{(location.Length > 0 ? $", to {location}" : "")}", owner,
                    rule, location);
                return;
            case AnswerView when host == ResourceNames.BlockAll:
                record.Fail("route", $"no virtual host for {call.Authority}", causes.Hosts.Blocked(call));
                return;
            case AnswerView { Status: 500 } when IstioMetadata.IsOfGatewayApi(rule):
                record.Fail("route", summary, causes.Config.Failing(rule, route.Name), HopFacts.Rule(rule));
                return;
            case AnswerView { Status: 503 } when IstioMetadata.IsOfIngress(rule) && causes.Entries.Ingresses.Misled(call) is { } misled:
                record.Fail("route", summary, misled, HopFacts.Rule(rule));
                return;
            case AnswerView { Status: >= 500 } direct:
                record.Fail("route", summary,
                    Faults.Of("ISM2025", owner, "spec.http[*].directResponse", $"responds with status {direct.Status} directly",
                        "route to a destination instead"),
                    HopFacts.Rule(rule));
                return;
            case AnswerView { Status: >= 400 } refusing when rule.Length > 0 && !IstioMetadata.IsOfGatewayApi(rule):
                record.Warn("route", $"{summary}: responds with status {refusing.Status} directly",
                    Faults.Of("ISM2025", owner, "spec.http[*].directResponse", $"responds with status {refusing.Status} directly, and no application is asked",
                        "route to a destination instead, unless it is meant"), HopFacts.Rule(rule));
                return;
            case AnswerView direct:
                record.Ok("route", $"{summary}: responds with status {direct.Status} directly", HopFacts.Rule(rule));
                return;
        }
        var act = (ForwardView)route.Act;
        var rewritten = route.Rewritten(call.Path);
        if (rewritten is not null && rewritten != call.Path) summary += $", path {rewritten}";
        var fault = route.Fault(call.Request(), "http");
        (string,
            string)[] details = [HopFacts.Rule(rule),
                (HopFacts.TimeoutFact, act.Timeout > TimeSpan.Zero ? act.Timeout.ToString("g", CultureInfo.InvariantCulture) : ""),
            (HopFacts.RetriesFact, act.Retries is { } retries ? $"{retries} more" : ""),
            (HopFacts.TryTimeoutFact, act.TryTimeout > TimeSpan.Zero ? act.TryTimeout.ToString("g", CultureInfo.InvariantCulture)
                : ""), (HopFacts.DelayFact, DelayOf(fault)), (HopFacts.RewriteFact, rewritten is null ? "" : $"{call.Path} to {rewritten}")];
        if (fault?.AbortShare >= 1_000_000)
        {
            record.Fail("route", summary, Injected(fault, owner)!, details);
            return;
        }
        if (Injected(fault, owner) is { } problem) record.Warn("route", summary, problem, details);
        else record.Ok("route", summary, details);
        var choice = new OutboundChoice(view, act.Targets, rule, chain.Alpn, true) { IsHttp2 = call.Kind == CallKinds.Grpc, Route = route };
        new MirrorStep(record, causes, endpoints).Walk(choice, act);
        Unapplied(choice);
        Hidden(choice.Rule);
        Taken(choice.Rule);
        Idle();
        Ungrouped();
        WalkTargets(choice);
    }

    /// <summary>A route names the Service that is called, with a group that has no Services: it applies to no call.</summary>
    private void Ungrouped()
    {
        if (facts.Entry is not null || call.Host is not { Services.Count: > 0 } host || causes.Config.Misgrouped(host) is not var (route, index, group)) return;
        var (name, said) = ($"{route.Source.Kind} {route.Namespace}/{route.Name}", route.Parents[index]);
        record.Warn("route", $"{name} does not apply", Faults.Of(Misgrouped, $"{name} in {causes.Config.At.Context}", $"spec.parentRefs[{index}].group",
            $"is {said.Group}{(said.Written.HasFlag(ReferenceFields.Group) ? "" : ", as for all parents without a group")}, which has no kind Service: the "
                + $"route does not apply to calls of {host.Fqdn}",
            $"write group: {(group.Length > 0 ? group : "\"\"")}"));
    }

    /// <summary>A DestinationRule is for the host that is called, and no call to another one, to which a route leads, is subject to it.</summary>
    private void Unapplied(OutboundChoice choice)
    {
        if (call.Host is not { } host || choice.Rule.Length == 0) return;
        var others = choice.Targets.Select(target => ProxyTables.Split(target.Cluster).Host).Distinct().ToList();
        if (others.Count == 0 || others.Contains(host.Fqdn) || others.Any(other => facts.Host(other) is not { } to || causes.Config.RulesFor(to).Count > 0)
            || causes.Config.RulesFor(host).FirstOrDefault(one => !one.Host.StartsWith('*') && Sets(one.Policy)) is not { } rule) return;
        record.Warn("route", "leads to another host", Faults.Of(OtherHost, $"DestinationRule {rule.Namespace}/{rule.Name} in {causes.Config.At.Context}",
            "spec.host", $"is for {host.Fqdn}, and {causes.Config.Named("VirtualService", choice.Rule, "")} sends this call to "
                + $"{string.Join(", ", others)}, to which its trafficPolicy does not apply",
            "write a DestinationRule for that host with what should apply there"));
    }

    /// <summary>Routes for connections, of a port that declares HTTP.</summary>
    private void Idle()
    {
        if (facts.Entry is not null || call.Host is not { } host) return;
        var ports = host.Services.SelectMany(service => service.Service.Spec.Ports).Where(port => port.Protocol != "UDP")
            .Select(port => new RoutesOfRequests.DeclaredPort(port.Port, DeclaredPort.ProtocolOf(port)))
            .Concat(host.Entries.SelectMany(entry => entry.Ports).Select(port => new RoutesOfRequests.DeclaredPort(port.Number, port.Protocol)))
            .Distinct().ToList();
        foreach (var routes in causes.Config.RoutingConnections(host))
            foreach (var (field, met) in RoutesOfRequests.Idle(routes, ports).Where(idle => idle.Ports.Any(port => port.Number == call.Port)))
            {
                record.Warn("route", $"{field} of VirtualService {routes.Namespace}/{routes.Name} does not apply", Faults.Of(OfRequests,
                    $"VirtualService {routes.Namespace}/{routes.Name} in {causes.Config.At.Context}", field, RoutesOfRequests.Says(field, host.Fqdn, met),
                    RoutesOfRequests.Remedy(field)));
                return;
            }
    }

    /// <summary>A route of the Gateway API takes the requests of a host, and no VirtualService for it has an effect.</summary>
    private void Hidden(string rule)
    {
        if (facts.Entry is not null || call.Host is not { } host || !IstioMetadata.IsOfGatewayApi(rule)
            || causes.Config.RoutingRequests(host).FirstOrDefault() is not { } hidden) return;
        record.Warn("route", $"{rule} takes the requests", Faults.Of(HiddenByRoute,
            $"VirtualService {hidden.Namespace}/{hidden.Name} in {causes.Config.At.Context}", "spec.hosts",
            $"is for {host.Fqdn}, and has no effect: requests of that host are subject to {rule}",
            $"write what it does into {rule}, and delete it; or delete {rule}"));
    }

    /// <summary>At a gateway, a newer VirtualService has a route for the path that is never used: the one that takes the call is older.</summary>
    private void Taken(string rule)
    {
        if (TakenRoutes.In([.. causes.Entries.Routing(call)]).FirstOrDefault(one => $"{one.Older.Namespace}/{one.Older.Name}" == rule
            && one.IsFor(call.Path)) is not { } taken) return;
        var hidden = $"VirtualService {taken.Newer.Namespace}/{taken.Newer.Name}";
        record.Warn("route", $"{taken.Path} of {hidden} is not used",
            Faults.Of(TakenByOlder, $"{hidden} in {causes.Config.At.Context}", taken.Path, taken.Why, taken.Remedy));
    }

    private static bool Sets(TrafficPolicy policy) =>
        policy.Balancing is not null || policy.Pool is not null || policy.Outlier is not null || policy.Tls is not null;

    /// <summary>A client follows a redirect, which may lead back.</summary>
    private void WalkRedirect(ChainView chain, string summary, string owner, string rule, string location)
    {
        // Whatever its host, a call of the address of one Service comes to the chain; a client of another host calls another address.
        var loop = RedirectLoop.Of(chain, call.Request(), Scheme, call.Admitted?.Learned, host => facts.Entry is not null || call.Host is null
            || facts.Host(host, facts.Client.Namespace)?.Fqdn == call.Host.Fqdn);
        if (loop.Count == 0)
        {
            if (RedirectTargets.Dead(call, location, owner, causes.Config.RedirectField(rule)) is { } dead)
                record.Fail("route", summary, dead, HopFacts.Rule(rule));
            else if (causes.Entries.LeadsNowhere(call, location, owner, causes.Config.RedirectField(rule)) is { } nowhere)
                record.Warn("route", summary, nowhere, HopFacts.Rule(rule));
            else record.Ok("route", summary, HopFacts.Rule(rule));
            return;
        }
        record.Fail("route", summary, Faults.Of(Loop, owner, causes.Config.RedirectField(rule),
            loop is [var own] ? $"redirects {own} to itself: whoever follows it never gets an answer"
                : $"redirects {loop[0]} to {loop[1]}, and from there requests are redirected back: whoever follows it never gets an answer",
            "let the match leave out the address to which it redirects, or put a route with a destination for that address before it"),
            HopFacts.Rule(rule));
    }

    private string Scheme => call.IsDecrypted || call.Kind == CallKinds.Tls ? "https" : "http";

    private void WalkRedirectToHttps(string? host, string rule)
    {
        var summary = $"{host}: responds with a redirect to https, 301";
        if (causes.Entries.RedirectsNowhere() is { } problem) record.Warn("route", summary, problem, HopFacts.Rule(rule));
        else record.Ok("route", summary, HopFacts.Rule(rule));
    }

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
            ? Faults.Of(Delayed, owner, "spec.http[*].fault.delay", $"delays {Share(fault.DelayShare)} of the calls by {Durations.Text(fault.Delay)}",
                "remove the fault, unless it is meant")
            : null;
    }

    /// <summary>How long a fault delays the call; empty when none does.</summary>
    private static string DelayOf(FaultView? fault) =>
        fault is { DelayShare: > 0 } && fault.Delay > TimeSpan.Zero ? $"{Durations.Text(fault.Delay)} for {Share(fault.DelayShare)} of the requests" : "";

    private static string Share(int ofMillion) => string.Create(CultureInfo.InvariantCulture, $"{ofMillion / 10000.0:0.##} %");

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
            else record.Fail("cluster", $"{name} does not exist", name == ResourceNames.Unresolved && IstioMetadata.IsOfGatewayApi(outbound.Rule)
                ? causes.Config.Failing(outbound.Rule, outbound.Route?.Name ?? "")
                : (IstioMetadata.IsOfIngress(outbound.Rule) ? causes.Entries.Ingresses.Misled(call) : null) ?? causes.Hosts.MissingCluster(name, outbound.Rule),
                (HopFacts.ShareFact, percent < 100 ? $"{percent} %" : ""));
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
        var astray = causes.Callers.ForeignHost(call) ?? causes.Callers.PassedOn(call);
        if (astray is null && DeclaredPort.Of(call)?.Contradiction(call) is { } contradiction)
            record.Warn("cluster", $"{cluster}: passed through unchanged", contradiction);
        else if (problem is not null)
            record.Warn("cluster", $"{cluster}: the proxy does not know {call.Host?.Fqdn ?? facts.Target.Host}, so the call leaves in plain text", problem);
        else if (cluster == ResourceNames.DynamicDns)
            record.Ok("cluster", $"{cluster}: plain HTTP, outside the mesh, to the address that the request's host has");
        else record.Ok("cluster", $"{cluster}: passed through unchanged, outside the mesh");
        endpoints.WalkPlain(astray);
    }
}
