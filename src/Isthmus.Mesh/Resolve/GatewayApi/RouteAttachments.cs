using Isthmus.Core.Collections;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Which listeners take a route.</summary>
public static class RouteAttachments
{
    private const string Everything = "*";

    /// <param name="route">The route.</param>
    /// <param name="find">The listeners of a Gateway or ListenerSet; null if it does not exist, or is another controller's.</param>
    /// <param name="labelsOf">The labels of a namespace.</param>
    public static AttachedRoute Of(ApiRoute route, Func<ObjectRef, JudgedListeners?> find, Func<string, ValueMap<string>> labelsOf) => new(
        route, route.Parents.Select(parent => OwnerOf(route, parent) is { } owner && find(owner) is { } judged ? Attach(route, parent, judged, labelsOf) : null)
            .OfType<ParentAttachment>().ToValueList());

    /// <summary>Null for a parent that is no Gateway: a Service, or something of others.</summary>
    private static ObjectRef? OwnerOf(ApiRoute route, ApiReference parent)
    {
        if (parent.Group != MeshApi.ApiGateway.Group) return null;
        var kind = parent.Kind == MeshApi.ApiGateway.Kind ? MeshApi.ApiGateway : parent.Kind == MeshApi.ListenerSet.Kind ? MeshApi.ListenerSet : null;
        return kind is null ? null : new(route.Source.Cluster, kind.Name, parent.Namespace, parent.Name);
    }

    private static ParentAttachment Attach(ApiRoute route, ApiReference parent, JudgedListeners judged, Func<string, ValueMap<string>> labelsOf)
    {
        var named = judged.Listeners.Where(listener => !listener.IsConflicted
            && (parent.Port == 0 || parent.Port == listener.Listener.Port)
            && (parent.Section.Length == 0 || parent.Section == listener.Listener.Name)).ToList();
        if (named.Count == 0) return Refused(parent, "NoMatchingParent", $"{parent.Kind} {parent.Namespace}/{parent.Name} has no listener {Wanted(parent)}");
        var kind = new RouteKind(MeshApi.ApiGateway.Group, route.Source.Kind);
        var fitting = named.Where(listener => listener.Kinds.Contains(kind)).ToList();
        if (fitting.Count == 0) return Refused(parent, "NotAllowedByListeners", $"no listener {Wanted(parent)} takes routes of kind {kind.Kind}");
        var open = fitting.Where(listener =>
            NamespaceRules.Allow(listener.Listener.Routes.Namespaces, judged.Owner.Namespace, route.Namespace, labelsOf)).ToList();
        if (open.Count == 0) return Refused(parent, "NotAllowedByListeners", $"no listener {Wanted(parent)} takes routes of namespace {route.Namespace}");
        var attached = open.Select(listener => Attached(route, judged, listener)).Where(listener => !listener.Hostnames.IsEmpty).ToValueList();
        return attached.IsEmpty
            ? Refused(parent, "NoMatchingListenerHostname", $"no hostname of the route is one of a listener {Wanted(parent)}")
            : new(parent, attached, new("Accepted", true, "Accepted", "The route is attached"));
    }

    private static ParentAttachment Refused(ApiReference parent, string reason, string message) =>
        new(parent, default, new("Accepted", false, reason, message));

    private static string Wanted(ApiReference parent) => (parent.Section, parent.Port) switch
    {
        ("", 0) => "that it could attach to",
        ("", var port) => $"on port {port}",
        (var section, 0) => $"\"{section}\"",
        var (section, port) => $"\"{section}\" on port {port}",
    };

    private static AttachedListener Attached(ApiRoute route, JudgedListeners judged, JudgedListener listener) => new(
        judged.Owner, listener.Listener.Name, $"{judged.Gateway.Namespace}/{listener.Server}", listener.Listener.Port, listener.Listener.Protocol,
        HostnamesOf(listener.Listener, route), listener.Served?.Tls is { Terminates: true });

    /// <summary>The narrower of each pair of hostnames; TCP has none.</summary>
    private static ValueList<string> HostnamesOf(ApiListener listener, ApiRoute route)
    {
        var offered = listener.Hostname.Length > 0 && listener.Protocol is not ("TCP" or "UDP") ? listener.Hostname : Everything;
        if (route.Hostnames.IsEmpty) return [offered];
        return route.Hostnames.Select(host => Hosts.Covers(offered, host) ? host : Hosts.Covers(host, offered) ? offered : "")
            .Where(host => host.Length > 0 && HostNames.WhyInvalid(host) is null).Distinct().ToValueList();
    }
}
