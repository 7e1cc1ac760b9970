using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes of the Gateway API that attach nowhere, or whose rules do not apply as written. Pure.</summary>
public static class GatewayApiRoutes
{
    public static Analyzer Analyzer { get; } = new("gatewayapi.RouteAnalyzer",
        "Checks that routes of the Gateway API attach to what they name, and that their rules apply",
        [OwnCodes.RouteNotAttached, GatewayApiCodes.RoutePartlyAttached, IstioCodes.NegativeCondition, IstioCodes.ReferencedResourceNotFound], [],
        mesh => mesh.GatewayApis.SelectMany(api => api.Verdicts.Routes.OrderBy(route => route.Route.Source).SelectMany(route => Check(api, route))));

    private static IEnumerable<Finding> Check(JudgedGatewayApi api, AttachedRoute attached)
    {
        var (route, name) = (attached.Route, JudgedGatewayApi.Name(attached.Route.Source));
        if (route.Parents.IsEmpty)
            yield return OwnCodes.RouteNotAttached.At(api.Cluster, name, "spec.parentRefs", "the route has no parentRefs: it applies nowhere",
                "name a Gateway, ListenerSet or Service in parentRefs");
        foreach (var parent in api.Verdicts.OfRoute(route.Source)?.Parents ?? default)
        {
            var path = $"spec.parentRefs[{route.Parents.Index().FirstOrDefault(item => item.Item == parent.Parent).Index}]";
            foreach (var condition in parent.Conditions)
            {
                if (condition is { Type: "PartiallyInvalid", Status: true })
                    yield return IstioCodes.NegativeCondition.At(api.Cluster, name, "spec.rules",
                        $"PartiallyInvalid ({condition.Reason}): {condition.Message}", "correct the rules that the message names");
                if (condition is not { Type: "Accepted", Status: false }) continue;
                var finding = JudgedGatewayApi.KindOf(parent.Parent) is { } kind
                    ? AtGateway(api, route, parent.Parent, kind, condition, path) : InMesh(api, name, parent.Parent, condition, path);
                if (finding is not null) yield return finding;
            }
        }
        foreach (var parent in attached.Parents.Where(parent => !parent.Listeners.IsEmpty && parent.Parent is { Section: "", Port: 0 }))
            foreach (var finding in Partly(api, attached, parent)) yield return finding;
    }

    /// <summary>Listeners of a parent that have hosts of a route, and take no routes of its namespace, while others of the parent do.</summary>
    private static IEnumerable<Finding> Partly(JudgedGatewayApi api, AttachedRoute attached, ParentAttachment parent)
    {
        var route = attached.Route;
        foreach (var judged in api.Verdicts.Listeners.Where(judged => judged.Owner == parent.Listeners[0].Owner))
            foreach (var (index, listener) in judged.Listeners.Index())
            {
                if (listener is not { IsConflicted: false, Served: not null, Listener: var one } || one.Routes.Namespaces.From == NamespacesFrom.Selector
                    || !listener.Kinds.Any(kind => kind.Kind == route.Source.Kind)
                    || NamespaceRules.Allow(one.Routes.Namespaces, judged.Owner.Namespace, route.Namespace, _ => default)) continue;
                var lost = (route.Hostnames.IsEmpty ? ["*"] : route.Hostnames).Where(host => (one.Hostname.Length == 0 || Hosts.Covers(one.Hostname, host))
                    && !IsRouted(api, judged, one, host)).ToList();
                if (lost.Count > 0)
                    yield return GatewayApiCodes.RoutePartlyAttached.At(api.Cluster, JudgedGatewayApi.Name(judged.Owner),
                        $"spec.listeners[{index}].allowedRoutes.namespaces",
                        $"takes no routes of namespace {route.Namespace}, where {JudgedGatewayApi.Name(route.Source)} is, which is attached to listener "
                            + $"{string.Join(", ", parent.Listeners.Select(taken => taken.Name))} only: calls of {string.Join(", ", lost)} at listener "
                            + $"{one.Name} (port {one.Port}) meet no route",
                        $"set from: All, or a selector with a label of namespace {route.Namespace}; or name the listener that is meant in the route's "
                            + "sectionName");
            }
    }

    /// <summary>Whether a route has a host at a listener, or at another one of its Gateway that shares the port.</summary>
    private static bool IsRouted(JudgedGatewayApi api, JudgedListeners judged, ApiListener listener, string host)
    {
        var owners = api.Verdicts.Listeners.Where(other => other.Gateway.Source == judged.Gateway.Source).Select(other => other.Owner).ToHashSet();
        return api.Verdicts.Routes.SelectMany(route => route.Parents).SelectMany(parent => parent.Listeners)
            .Any(taken => taken.Port == listener.Port && owners.Contains(taken.Owner) && taken.Hostnames.Any(name => Hosts.Covers(name, host)));
    }

    /// <summary>The parent is a Service or ServiceEntry. One that was not read may be there.</summary>
    private static Finding? InMesh(JudgedGatewayApi api, string name, ApiReference to, ApiCondition condition, string path)
    {
        if (!api.Knows(to)) return null;
        if (condition.Reason != "NoMatchingParent")
        {
            // Of datagrams, it is the parent that does not fit.
            var isKind = name.StartsWith($"{MeshApi.UdpRoute.Name} ", StringComparison.Ordinal);
            return IstioCodes.NegativeCondition.At(api.Cluster, name, isKind ? path : "spec.rules", Says(condition),
                isKind ? "name a Gateway or ListenerSet in parentRefs" : "correct the rules");
        }
        var isPort = to.Port > 0 && api.Verdicts.HasService(to.Namespace, to.Name);
        return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, isPort ? $"{path}.port" : $"{path}.name",
            $"Referenced {to.Kind} not found: {condition.Message}: the route applies to no calls");
    }

    private static Finding? AtGateway(JudgedGatewayApi api, ApiRoute route, ApiReference to, KindDescriptor kind, ApiCondition condition, string path)
    {
        var name = JudgedGatewayApi.Name(route.Source);
        var offered = api.Verdicts.Listeners.Where(judged => JudgedGatewayApi.Name(judged.Owner) == $"{kind.Name} {to.Namespace}/{to.Name}")
            .SelectMany(judged => judged.Listeners)
            .Where(listener => to.Section.Length == 0 || condition.Reason == "NoMatchingParent" || listener.Listener.Name == to.Section).ToList();
        // Without the labels of namespaces, it is not known which of them a selector selects.
        var isSelected = condition.Reason == "NotAllowedByListeners"
            && offered.Exists(listener => listener.Listener.Routes.Namespaces.From == NamespacesFrom.Selector);
        if (isSelected && !api.Cluster.Knows(MeshApi.Namespace.Name)) return null;
        var says = $"{Says(condition)} ({(offered.Count == 0 ? "it has no listeners" : $"its listeners: {string.Join(", ", offered.Select(Text))}")})";
        return condition.Reason switch
        {
            "NoMatchingParent" => OwnCodes.RouteNotAttached.At(api.Cluster, name,
                to.Section.Length > 0 ? $"{path}.sectionName" : to.Port > 0 ? $"{path}.port" : path, says,
                "name a listener and a port that the parent has, or leave sectionName and port out"),
            "NotAllowedByListeners" => OwnCodes.RouteNotAttached.At(api.Cluster, name, path, says,
                $"name a listener whose protocol is for {route.Source.Kind}s, or allow the route's kind and namespace in "
                + $"spec.listeners[].allowedRoutes of {to.Kind} {to.Namespace}/{to.Name}"),
            "NoMatchingListenerHostname" => OwnCodes.RouteNotAttached.At(api.Cluster, name, "spec.hostnames",
                $"{says}: {string.Join(", ", route.Hostnames)}", "correct spec.hostnames, or the hostname of a listener"),
            _ => IstioCodes.NegativeCondition.At(api.Cluster, name, "spec.rules", Says(condition), "correct the rules"),
        };
    }

    private static string Says(ApiCondition condition) => $"{condition.Type} is False ({condition.Reason}): {condition.Message}";

    private static string Text(JudgedListener judged)
    {
        var (listener, host) = (judged.Listener, judged.Listener.Hostname.Length > 0 ? $", {judged.Listener.Hostname}" : "");
        return $"{listener.Name} ({listener.Protocol} {listener.Port}{host}{(judged.IsConflicted ? ", conflicted" : "")})";
    }
}
