using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why no route of the Gateway API is attached to the listeners that take a call.</summary>
/// <param name="having">The listeners at the port that have the host; at least one.</param>
internal sealed class UnattachedRoutes(TraceFacts facts, CallerConfig config, EntryListeners listeners, IReadOnlyList<EntryListener> having, string host)
{
    private const string Code = "ISM2085";

    /// <summary>Null when a route is attached.</summary>
    public Problem? Find()
    {
        var first = having[0];
        var routing = config.At.ApiRoutes.Where(route => route.Hostnames.IsEmpty || route.Hostnames.Any(name => Hosts.Covers(name, host))).ToList();
        var naming = routing.Where(route => having.Any(one => Parents(route, one).Any())).ToList();
        var fitting = naming.Where(route => having.Any(one => Parents(route, one).Any() && one.Fits(route.Source.Kind))).ToList();
        if (fitting.Count > 0) return fitting.Select(Refused).FirstOrDefault(problem => problem is not null);
        if (naming.Count > 0) return OfOtherKind(naming[0], first);
        if (having.Select(one => new StrayRoutes(facts, config, one, host).Find()).FirstOrDefault(found => found is not null) is { } stray) return stray;
        var kind = first.Listener.Protocol switch { "TLS" => "TLSRoute", "TCP" => "TCPRoute", _ => "HTTPRoute" };
        return routing.Find(route => !route.Hostnames.IsEmpty && first.Fits(route.Source.Kind)) is { } other
            ? Faults.Of(Code, NameOf(other), "spec.parentRefs", $"has {host} and does not name {first.OwnerName}, which accepts the call: {first.Then}",
                $"add {{{(first.Kind == "Gateway" ? "" : $"group: {Isthmus.Mesh.Config.MeshApi.ApiGateway.Group}, kind: {first.Kind}, ")}"
                    + $"name: {first.Owner.Name}, namespace: {first.Owner.Namespace}}} to its parentRefs")
            : Faults.Of(Code, first.OwnerName, "", $"no {kind} that names it has {host}: {first.Then}",
                $"create {(kind == "HTTPRoute" ? "an" : "a")} {kind} with {(kind == "TCPRoute" ? "" : $"hostname {host} and ")}parentRef {first.Owner.Name}");
    }

    /// <summary>Listeners take routes of some kinds by their protocol.</summary>
    private Problem OfOtherKind(ApiRoute route, EntryListener at)
    {
        var what = route.Source.Kind switch { "TCPRoute" => "connections", "TLSRoute" => "TLS", "UDPRoute" => "datagrams", _ => "requests" };
        return Faults.Of(Code, NameOf(route), "kind",
            $"has routes for {what}, and listener {at.Listener.Name} of {at.OwnerName} has protocol {at.Listener.Protocol}, to which it cannot attach: "
                + at.Then,
            at.Then.Contains("404", StringComparison.Ordinal)
                ? $"write an HTTPRoute, or give the listener the protocol {(what == "connections" ? "TCP" : what == "datagrams" ? "UDP" : "TLS")}"
                : what == "requests" && at.Listener.Protocol == "TLS"
                    ? "write a TLSRoute, or let the listener end TLS: protocol HTTPS, with tls.certificateRefs"
                : $"write a {at.Listener.Protocol}Route, or give the listener the protocol that the route is for");
    }

    /// <summary>Why a route that names the owner is attached to none of its listeners that have the call; null when it is.</summary>
    private Problem? Refused(ApiRoute route)
    {
        var named = having.Where(one => Parents(route, one).Any()).ToList();
        var meant = named.Where(one => Parents(route, one).Any(parent => (parent.Section.Length == 0 || parent.Section == one.Listener.Name)
            && (parent.Port == 0 || parent.Port == one.Listener.Port))).ToList();
        if (meant.Count == 0) return OfOtherListener(route, named[0]);
        if (meant.Find(one => !one.Listener.Routes.Kinds.IsEmpty) is { } picky
            && meant.TrueForAll(one => !one.Listener.Routes.Kinds.IsEmpty && !one.Listener.Routes.Kinds.Any(kind => kind.Kind == route.Source.Kind)))
            return Faults.Of(Code, picky.OwnerName, $"{picky.Field}.allowedRoutes.kinds",
                $"takes {string.Join(", ", picky.Listener.Routes.Kinds.Select(kind => kind.Kind))} only, and {NameOf(route)} has {host}: {picky.Then}",
                $"add {{kind: {route.Source.Kind}}}, or remove kinds");
        if (meant.Exists(one => NamespaceRules.Allow(one.Listener.Routes.Namespaces, one.Owner.Namespace, route.Namespace, listeners.LabelsOf))) return null;
        return Faults.Of(Code, meant[0].OwnerName, $"{meant[0].Field}.allowedRoutes.namespaces",
            $"takes routes of {Allowed(meant[0])} only, and {NameOf(route)}, which has {host}, is not there: {meant[0].Then}",
            "set from: All, or from: Selector with a label of the route's namespace; or move the route");
    }

    /// <summary>The route names another listener than the one at which the call arrives.</summary>
    private Problem OfOtherListener(ApiRoute route, EntryListener at)
    {
        var (index, wrong) = route.Parents.Index().First(parent => at.IsNamedBy(parent.Item));
        var field = wrong.Section.Length > 0 ? "sectionName" : "port";
        var right = wrong.Section.Length > 0 ? at.Listener.Name : $"{at.Listener.Port}";
        return Faults.Of(Code, NameOf(route), $"spec.parentRefs[{index}].{field}",
            $"is {(wrong.Section.Length > 0 ? wrong.Section : $"{wrong.Port}")}{(Exists(at, wrong) ? "" : $", and no listener of {at.OwnerName} has it")}: the "
                + $"call for {host} arrives at listener {at.Listener.Name} (port {at.Listener.Port}), to which the route is not attached, and {at.Then}",
            $"write {right}, or remove {field}: the route then attaches to all listeners that take it");
    }

    private bool Exists(EntryListener at, ApiReference parent) => listeners.All.Any(one => one.Owner == at.Owner
        && (parent.Section.Length == 0 || parent.Section == one.Listener.Name) && (parent.Port == 0 || parent.Port == one.Listener.Port));

    private static IEnumerable<ApiReference> Parents(ApiRoute route, EntryListener at) => route.Parents.Where(at.IsNamedBy);

    private static string Allowed(EntryListener at) => at.Listener.Routes.Namespaces.From switch
    {
        NamespacesFrom.Same => $"namespace {at.Owner.Namespace}",
        NamespacesFrom.Selector => "namespaces that its selector matches",
        _ => "no namespace",
    };

    private string NameOf(ApiRoute route) => $"{route.Source.Kind} {route.Namespace}/{route.Name} in {config.At.Context}";
}
