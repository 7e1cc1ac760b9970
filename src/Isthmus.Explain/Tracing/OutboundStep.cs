using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Explain.Tracing;

/// <summary>Checks the caller's proxy: its own tables choose listener, filter chain and route.</summary>
internal sealed class OutboundStep(TraceFacts facts, TraceRecord record, Causes causes, TracedCall call, EndpointsStep endpoints)
{
    /// <summary>The code of injected aborts, also of those that hit only a share of the requests.</summary>
    public const string PartialAbort = "ISM2026";

    /// <summary>The code of injected delays: calls get through, and take longer.</summary>
    public const string Delayed = "ISM2092";

    /// <summary>A VirtualService for requests of a port on which proxies know none.</summary>
    public const string Untyped = "ISM2095";

    public void Walk(ProxyView view)
    {
        var specific = view.Index.Find(call.Destination);
        if ((specific ?? view.Outbound) is not { } listener)
        {
            record.Fail("listener", $"none for {call.Destination}", causes.Availability.Unconfigured(facts.Client, "its proxy has no outbound listener"));
            return;
        }
        record.Ok("listener", specific is null ? $"{listener.Name}: no other listener matches {call.Destination}" : listener.Name);
        // A connection meets the filters of the listener that takes all of them, and of its own.
        if (new[] { view.Outbound, specific }.OfType<ListenerSnapshot>()
            .Any(met => !LackedFilters.Pass(record, "listener", view, $"{facts.Client}", met, call.Destination.Port))) return;
        var looks = listener.Chains.NeedsBytes(call.Destination.Port);
        var isTls = looks && call.Kind == CallKinds.Tls && (listener.InspectTls?.Contains(call.Destination.Port) ?? false);
        var isHttp = looks && call.IsPlainHttp && (listener.InspectHttp?.Contains(call.Destination.Port) ?? false);
        var connection = new ConnectionFacts(call.Destination, call.ClientEnd, isTls ? facts.Target.Host : "", isTls ? "tls" : "raw_buffer",
            isHttp ? call.Detected : []);
        if (listener.Chains.Find(connection) is not { } chain)
        {
            record.Fail("filter chain", $"none of {listener.Name}",
                DeclaredPort.Of(call)?.Contradiction(call)
                    ?? Faults.Of("ISM2021", facts.Client.ToString(), $"listener {listener.Name}", $"no filter chain accepts a connection of kind {call.Kind}",
                        "inspect it with 'isthmus proxy-config listeners'"));
            return;
        }
        var first = chain.Action is HttpAction http ? view.FirstRoute(http, call.Request(), "http") : null;
        if (LackedFilters.Pass(record, "filter chain", view, $"{facts.Client}", chain, first)) WalkChain(view, listener, chain);
    }

    /// <summary>Follows the chain that accepts the connection.</summary>
    public void WalkChain(ProxyView view, ListenerSnapshot listener, FilterChainSnapshot chain)
    {
        var rule = RuleOf(chain, listener);
        switch (chain.Action)
        {
            case TcpAction tcp:
                WalkTcp($"{ChainName(chain)} → TCP to {string.Join(", ", tcp.Targets.Select(target => target.Cluster))}", rule);
                WalkTargets(new(view, [.. tcp.Targets.Select(target => (target.Cluster, target.Weight))], rule, default, false));
                break;
            case HttpAction http:
                record.Ok("filter chain", $"{ChainName(chain)} → HTTP, routes {http.RouteName}");
                WalkRoute(view, http);
                break;
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
                CallBlame.Rule(rule));
            return;
        }
        record.Ok("filter chain", summary, CallBlame.Rule(rule),
            ("untyped",
                declared is null
                    ? ""
                    : $"{declared.Field} of {declared.Object} declares {declared.Name}: routes, retries, policies and metrics of requests do not apply"));
    }

    private void WalkRoute(ProxyView view, HttpAction http)
    {
        var table = http.Routes ?? view.Snapshot.Routes.GetValueOrDefault(http.RouteName);
        if (table is null)
        {
            record.Fail("route", $"routes {http.RouteName} are missing",
                Faults.Of("ISM2022", facts.Client.ToString(), $"routes {http.RouteName}", "the proxy waits for these routes",
                    $"isthmus proxy-status --context={facts.Client.Context}"));
            return;
        }
        var request = call.Request();
        var decision = RouteDecision.For(table, request, "http", new Random(1), call.Admitted?.Learned);
        if (decision.Host is not { } host)
        {
            record.Fail("route", $"no virtual host for {call.Authority}",
                causes.Entries.Unrouted(call) ?? causes.Hosts.Unrouted(call.Host, call.Port, call.Destination)
                ?? Faults.Of("ISM2023", $"host {call.Authority}", "", $"no virtual host in routes {table.Name} matches it: the response is 404",
                    "inspect them with 'isthmus proxy-config routes'"));
            return;
        }
        if (call.Admitted is { IsUnsure: true } && IsByClaims(host))
        {
            record.Add("route", HopStatus.Unknown, $"{host.Name}: chosen by claims of a token whose keys only the proxy of {facts.Client} can fetch", null);
            return;
        }
        var rule = RuleOf(table, host, decision.Route);
        if (decision.Route is not { } route)
        {
            var owner = RuleOf(table, host, host.Routes.FirstOrDefault());
            if (causes.Entries.Unrouted(call) is { } unrouted)
            {
                record.Fail("route", $"{host.Name}: no route for {call.Authority}", unrouted);
                return;
            }
            if (host.Routes.IsEmpty && call.Host is { } meant
                && CallerRoutes.NoneFor(facts.ClientPod, call.Port, causes.Config.RoutingRequests(meant)) is { } none)
            {
                record.Fail("route", $"{host.Name}: no route for {call.Path}",
                    Faults.Of("ISM2024", $"VirtualService {none.Service.Namespace}/{none.Service.Name} in {causes.Config.At.Context}", none.Field,
                    $"{none.Why}: no route of the host is left for this caller, and the response is 404",
                        "correct the match, or add a route without match at the end"));
                return;
            }
            if (call.Host is { } about && causes.Config.Orphaned(about) is { } orphan)
            {
                record.Fail("route", $"{host.Name}: no route for {call.Path}",
                    Faults.Of("ISM2024", $"VirtualService {orphan.Service.Namespace}/{orphan.Service.Name} in {causes.Config.At.Context}", orphan.Field,
                        $"leaves requests to VirtualService {orphan.Delegate.Namespace}/{orphan.Delegate.Name}, which does not exist: "
                            + $"no other route matches {call.Method} {call.Path}, and the response is 404",
                        "create that VirtualService, without hosts, or correct its name or namespace"));
                return;
            }
            var ignored = call.Host is { } called
                ? string.Join(" and ", causes.Config.Overridden(owner, called).Select(other => $"{other.Namespace}/{other.Name}"))
                : "";
            record.Fail("route", $"{host.Name}: no route for {call.Path}",
                Faults.Of("ISM2024", causes.Config.Named("VirtualService", owner, $"virtual host {host.Name}"),
                IstioMetadata.IsOfGatewayApi(owner) ? "spec.rules[*].matches" : "spec.http[*].match",
                $"none of its routes matches {call.Method} {call.Path}: the response is "
                    + $"404{MissedClaims(host)}{(ignored.Length > 0 ? $". VirtualService {ignored} is for the same host, and has no effect because this one is older" : "")}",
                IsByClaims(host) && call.Admitted is { HasToken: false }
                    ? "send a token (isthmus trace --jwt TOKEN), or add a route without claims at the end"
                    : ignored.Length > 0
                    ? "merge them into one VirtualService"
                    : "add a route that matches it, or one without match at the end"));
            return;
        }
        WalkAct(view, http, host, route, rule);
    }

    private void WalkAct(ProxyView view, HttpAction http, VirtualHostSnapshot host, RouteSnapshot route, string rule)
    {
        var owner = causes.Config.Named("VirtualService", rule, $"virtual host {host.Name}");
        var summary = $"{host.Name}, route {route.Name}";
        if (call.Admitted is { } admitted && IsByClaims(host))
            summary += admitted.HasToken ? ", chosen with the claims of the token" : ", chosen without claims: the call has no valid token";
        if (http.Unread(route, route.Switches) is { } unread && !LackedFilters.Pass(record, "route", view, $"{facts.Client}", summary, unread)) return;
        switch (route.Act)
        {
            case RedirectAct redirect:
                record.Ok("route", $"{summary}: responds with a redirect, {redirect.Status}", CallBlame.Rule(rule));
                return;
            case DirectAct when host.Name == ResourceNames.BlockAll:
                record.Fail("route", $"no virtual host for {call.Authority}", causes.Hosts.Blocked(call));
                return;
            case DirectAct { Status: 500 } when IstioMetadata.IsOfGatewayApi(rule):
                record.Fail("route", summary, causes.Config.Failing(rule, route.Name), CallBlame.Rule(rule));
                return;
            case DirectAct { Status: >= 500 } direct:
                record.Fail("route", summary,
                    Faults.Of("ISM2025", owner, "spec.http[*].directResponse", $"responds with status {direct.Status} directly",
                        "route to a destination instead"),
                    CallBlame.Rule(rule));
                return;
            case DirectAct direct:
                record.Ok("route", $"{summary}: responds with status {direct.Status} directly", CallBlame.Rule(rule));
                return;
        }
        var act = (ForwardAct)route.Act;
        var fault = http.FaultOf(route) is { } injected && injected.Headers.All(header => header.IsMatch(call.Request(), "http")) ? injected : null;
        (string,
            string)[] details = [CallBlame.Rule(rule),
                (CallBlame.TimeoutFact, act.Timeout > TimeSpan.Zero ? act.Timeout.ToString("g", CultureInfo.InvariantCulture) : ""),
            ("retries", act.Retry is { } retry ? $"{retry.Retries} more" : ""),
            (CallBlame.TryTimeoutFact, act.Retry is { PerTryTimeout: var each } && each > TimeSpan.Zero ? each.ToString("g", CultureInfo.InvariantCulture)
                : ""), (CallBlame.DelayFact, DelayOf(fault)), (CallBlame.RewriteFact, Rewritten(route, act))];
        if (fault?.AbortShare.PerMillion >= 1_000_000)
        {
            record.Fail("route", summary, Injected(fault, owner)!, details);
            return;
        }
        if (Injected(fault, owner) is { } problem) record.Warn("route", summary, problem, details);
        else record.Ok("route", summary, details);
        WalkTargets(new(view, [.. act.Targets.Select(target => (target.Cluster, target.Weight))], rule, http.AlpnOverride,
            true) { IsHttp2 = call.Kind == CallKinds.Grpc });
    }

    private string MissedClaims(VirtualHostSnapshot host) => !IsByClaims(host) ? ""
        : call.Admitted is not { } admitted ? ". Some match claims of tokens, which only gateways know"
        : $". Some match claims of tokens, and this call has {(admitted.HasToken ? "others" : "no valid token")}";

    private static bool IsByClaims(VirtualHostSnapshot host) => host.Routes.Any(route => route.Metadata.Length > 0);

    /// <summary>What a fault does to the call; null when it does nothing.</summary>
    private static Problem? Injected(FaultSettings? fault, string owner)
    {
        var later = DelayOf(fault) is { Length: > 0 } delay ? $", and a delay of {delay}" : "";
        return fault is { AbortShare.PerMillion: > 0 }
            ? Faults.Of(PartialAbort, owner, "spec.http[*].fault.abort",
                $"injects {(fault.GrpcStatus is { } grpc ? $"grpc-status {grpc}" : $"status {fault.AbortStatus}")} into {Share(fault.AbortShare)} of the "
                    + $"requests{later}",
                "remove the fault")
            : fault is { DelayShare.PerMillion: > 0 } && fault.Delay > TimeSpan.Zero
            ? Faults.Of(Delayed, owner, "spec.http[*].fault.delay", $"delays {Share(fault.DelayShare)} of the calls by {Length(fault.Delay)}",
                "remove the fault, unless it is meant")
            : null;
    }

    /// <summary>How the route changes the path; empty when it does not.</summary>
    private string Rewritten(RouteSnapshot route, ForwardAct act) =>
        HeaderEditing.RewritePath(System.Text.Encoding.UTF8.GetBytes(call.Path), route.Path, act.PrefixRewrite, act.PathRewrite) is { } path
            ? $"{call.Path} to {System.Text.Encoding.UTF8.GetString(path)}" : "";

    /// <summary>How long a fault delays the call; empty when none does.</summary>
    private static string DelayOf(FaultSettings? fault) =>
        fault is { DelayShare.PerMillion: > 0 } && fault.Delay > TimeSpan.Zero ? $"{Length(fault.Delay)} for {Share(fault.DelayShare)} of the requests" : "";

    private static string Share(Fraction share) => string.Create(CultureInfo.InvariantCulture, $"{share.PerMillion / 10000.0:0.##} %");

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
            else if (outbound.View.Snapshot.Clusters.TryGetValue(name, out var cluster)) endpoints.WalkCluster(outbound, cluster, percent);
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

    private static string ChainName(FilterChainSnapshot chain) => chain.Name.Length > 0 ? chain.Name
        : !chain.Match.ApplicationProtocols.IsEmpty
        ? string.Join(",", chain.Match.ApplicationProtocols)
        : !chain.Match.ServerNames.IsEmpty
        ? string.Join(",", chain.Match.ServerNames)
        : "the only chain";

    private static string RuleOf(FilterChainSnapshot chain, ListenerSnapshot listener)
    {
        var index = listener.Chains.All.ToList().IndexOf(chain);
        return index >= 0 && index < listener.Resource.FilterChains.Count
            ? IstioMetadata.ConfigOf(listener.Resource.FilterChains[index].Metadata?.FilterMetadata)
            : "";
    }

    private static string RuleOf(RouteTable table, VirtualHostSnapshot host, RouteSnapshot? route)
    {
        if (route is null) return "";
        var index = host.Routes.ToList().IndexOf(route);
        var resource = table.Resource.VirtualHosts.FirstOrDefault(candidate => candidate.Name == host.Name);
        return resource is not null && index >= 0 && index < resource.Routes.Count ? IstioMetadata.RuleOf(resource.Routes[index].Metadata?.FilterMetadata) : "";
    }
}
