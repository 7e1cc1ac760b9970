using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Why none of the routes of its host is for a request.</summary>
/// <param name="call">The call.</param>
/// <param name="config">What applies to the caller.</param>
/// <param name="routedBy">Names the Ingress of a route.</param>
/// <param name="routing">The VirtualServices with routes for the host, also those of which no route is left.</param>
internal sealed class UnmatchedRequest(TracedCall call, CallerConfig config, IngressCauses routedBy, IEnumerable<VirtualService> routing)
{
    private string Answer => call.Kind == CallKinds.Grpc ? "grpc-status 12 (UNIMPLEMENTED)" : "404";

    /// <param name="host">The virtual host.</param>
    public Problem Of(RouteChoice choice, string host)
    {
        if (choice.HasNoRoutes && call.Host is not null && NoneLeft() is { } none) return none;
        if (Lost() is { } lost) return lost;
        if (choice.AsksFilters && Keyless() is { } keyless) return keyless;
        var origins = choice.Origins.Select(origin => routedBy.Routing(IstioMetadata.RuleOf(origin?.FilterMetadata), call)).ToList();
        // At a gateway, several VirtualServices may have the host, and one of them no route that the gateway gets.
        var owners = origins.Where(origin => origin.Length > 0)
            .Concat(call.Admitted is null ? [] : routing.Select(service => $"{service.Namespace}/{service.Name}")).Distinct();
        return OfRules(choice, host, origins.FirstOrDefault() ?? "", owners);
    }

    /// <summary>Routes are left to another VirtualService that is not there, or whose match is not within that of the route; null when none is.</summary>
    public Problem? Lost()
    {
        if (config.Orphaned(routing) is { } orphan)
        {
            return Faults.Of("ISM2024", $"VirtualService {orphan.Service.Namespace}/{orphan.Service.Name} in {config.At.Context}", orphan.Field,
                $"leaves requests to VirtualService {orphan.Delegate.Namespace}/{orphan.Delegate.Name}, which does not exist: "
                    + $"no other route matches {call.Method} {call.Path}, and the response is {Answer}",
                "create that VirtualService, without hosts, or correct its name or namespace");
        }
        if (call.Admitted is not null && NoneLeft() is { } none) return none;
        // A host of which no route is left has none that says where it comes from.
        return new NearestRoute(config, call).Among(routing.Select(service => $"{service.Namespace}/{service.Name}")) is { IsOutside: true } outside
            ? Faults.Of("ISM2024", config.Named("VirtualService", outside.Owner, ""), outside.Field,
                $"{outside.Why}: no route is left for {call.Method} {call.Path}, and the response is {Answer}", outside.Remedy)
            : null;
    }

    /// <summary>All matches of the VirtualServices are for other callers, or other gateways; null when one is not.</summary>
    private Problem? NoneLeft() => CallerRoutes.NoneFor(call, routing) is not { } none ? null
        : Faults.Of("ISM2024", $"VirtualService {none.Service.Namespace}/{none.Service.Name} in {config.At.Context}", none.Field,
            $"is {none.Why.Wanted}, and {none.Why.Has}: no route of the host is left for {(call.Admitted is null ? "this caller" : "this gateway")}, and the "
                + $"response is {Answer}",
            $"{(none.Why.Remedy.Length > 0 ? none.Why.Remedy : "correct the match")}, or add a route without match at the end");

    /// <param name="owner">The object of the first route; empty when nobody knows.</param>
    private Problem OfRules(RouteChoice choice, string host, string owner, IEnumerable<string> owners)
    {
        var ignored = call.Host is { } called
            ? string.Join(" and ", config.Overridden(owner, called).Select(other => $"{other.Namespace}/{other.Name}"))
            : "";
        var isClaimed = choice.AsksFilters && call.Admitted is { HasToken: false };
        var nearest = choice.AsksFilters ? null : new NearestRoute(config, call).Among(owners);
        var rule = nearest?.Owner ?? owner;
        var left = nearest is { Root.Length: > 0 } ? $", which VirtualService {nearest.Root} leaves to it" : "";
        var unmatched = $"none of its routes matches {call.Method} {call.Path}{left}: the response is {Answer}";
        return Faults.Of("ISM2024", config.Named("VirtualService", rule, $"virtual host {host}"),
            nearest?.Field ?? (IstioMetadata.IsOfGatewayApi(rule) ? "spec.rules[*].matches" : "spec.http[*].match"),
            $"{unmatched}{MissedClaims(choice)}{(nearest is null ? "" : $". The nearest is for {nearest.Why}")}{OfConsumers(rule)}"
                + (ignored.Length > 0 ? $". VirtualService {ignored} is for the same host, and has no effect because this one is older" : ""),
            isClaimed && !ChecksTokens ? $"create a RequestAuthentication with the issuer of the tokens in namespace {call.Facts.Client.Namespace} in "
                    + $"{config.At.Context}, which selects the gateway, or add a route without claims at the end"
                : isClaimed ? "send a token (isthmus trace --jwt TOKEN), or add a route without claims at the end"
                : ignored.Length > 0 ? "merge them into one VirtualService"
                : nearest is { Remedy.Length: > 0 } ? $"{nearest.Remedy}, or add a route without match at the end"
                : "add a route that matches it, or one without match at the end");
    }

    /// <summary>A route of the Gateway API in the caller's own namespace decides about all requests of its callers to a host of another one.</summary>
    private string OfConsumers(string rule) => IstioMetadata.IsOfGatewayApi(rule) && call.Host is { } host && host.Namespace != call.Facts.Client.Namespace
        && rule.Split(' ')[1].StartsWith($"{call.Facts.Client.Namespace}/", StringComparison.Ordinal)
            ? $". It is in the caller's namespace {call.Facts.Client.Namespace}, whose calls of {host.Fqdn} have its routes only" : "";

    private string MissedClaims(RouteChoice choice) => !choice.AsksFilters ? ""
        : call.Admitted is not { } admitted ? ". Some match claims of tokens, which only gateways know"
        : $". Some match claims of tokens, and {(admitted.HasToken ? "this call has others" : ChecksTokens ? "this call has no valid token"
            : $"no RequestAuthentication applies to {call.Facts.Client}, so that it checks no token, and none of these routes is ever used")}";

    /// <summary>Routes match claims of tokens, and the gateway refuses all tokens, because its control plane has the keys of none of their issuers; null where
    /// a token would help.</summary>
    private Problem? Keyless()
    {
        if (call.Admitted is not { HasToken: false, Unkeyed: { Count: > 0 } unkeyed }
            || !Reading.SelectMany(one => one.Rules).All(rule => unkeyed.Contains(rule.Issuer))) return null;
        return new IssuerKeys([.. Reading]).Refused(unkeyed, config.At,
            $"; and routes of the host match claims of one, which this call does not have either: the response is {Answer}",
            "; then send a token (isthmus trace --jwt TOKEN)");
    }

    /// <summary>Whether the proxy of the gateway reads tokens; without that, no call has a valid one.</summary>
    private bool ChecksTokens => Reading.Any();

    /// <summary>By which the proxy of the gateway reads tokens.</summary>
    private IEnumerable<RequestAuthentication> Reading => config.At.Istio<RequestAuthentication>().Where(one => !one.Rules.IsEmpty
        && one.AppliesTo(call.Facts.Client.Namespace, call.Facts.RootNamespace, call.Facts.ClientPod.Metadata.Labels.ToValueMap()));
}
