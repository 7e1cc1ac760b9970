using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A rule of a route of the Gateway API that leads to a Service, or that applies to its callers.</summary>
/// <param name="Route">As <c>HTTPRoute namespace/name</c>.</param>
/// <param name="Rule">Its name; without one, its place.</param>
/// <param name="Parents">Where it applies: <c>Gateway shop/front (listener http)</c>, or <c>callers of Service shop/web</c>.</param>
/// <param name="Refusals">Why it applies nowhere, or not to all that it names.</param>
public sealed record DescribedApiRoute(string Route, string Rule, IReadOnlyList<string> Parents, IReadOnlyList<string> Refusals)
{
    /// <summary>Those of a Service. Pure.</summary>
    internal static IReadOnlyList<DescribedApiRoute> Of(JudgedGatewayApi? api, string ns, string name) => api is null ? [] :
    [
        .. from attached in api.Verdicts.Routes.OrderBy(attached => attached.Route.Source)
           let route = attached.Route
           let isParent = route.Parents.Any(parent => IsOf(parent, ns, name))
           from rule in route.Rules.Index()
           where isParent || TargetsOf(rule.Item).Any(to => IsOf(to, ns, name))
           let status = api.Verdicts.OfRoute(route.Source)
           select new DescribedApiRoute(JudgedGatewayApi.Name(route.Source), NameOf(rule), ParentsOf(attached, status), RefusalsOf(status)),
    ];

    /// <summary>The routes at the listeners of a Gateway, by its Pods. Pure.</summary>
    internal static IReadOnlyList<DescribedGateway> At(JudgedGatewayApi? api, string ns, IReadOnlyDictionary<string, string> labels) => api is null ? [] :
    [
        .. from gateway in api.Verdicts.Served.OrderBy(gateway => gateway.Source)
           where gateway.Namespace == ns && labels.GetValueOrDefault(GatewayNaming.GatewayLabel) == GatewayNaming.LabelOf(gateway.Name)
           select new DescribedGateway($"{gateway.Namespace}/{gateway.Name}", gateway.Class, ListenersOf(api, gateway)),
    ];

    private static IReadOnlyList<DescribedListener> ListenersOf(JudgedGatewayApi api, ApiGateway gateway) =>
    [
        .. from judged in api.Verdicts.Listeners.Where(judged => judged.Gateway.Source == gateway.Source).OrderBy(judged => judged.Owner)
           from listener in judged.Listeners.Select(listener => listener.Listener)
           let routes = api.Verdicts.Routes.Where(route => IsAt(route, judged.Owner, listener.Name)).Select(route => route.Route).OrderBy(route => route.Source)
           select new DescribedListener(
               listener.Name, $"{listener.Protocol} {listener.Port}{(listener.Hostname.Length > 0 ? $" {listener.Hostname}" : "")}",
               [.. routes.Select(route => $"{JudgedGatewayApi.Name(route.Source)} ({Rules(route)})")],
               judged.Owner == gateway.Source ? "" : JudgedGatewayApi.Name(judged.Owner)),
    ];

    private static bool IsAt(AttachedRoute route, ObjectRef owner, string listener) =>
        route.Parents.SelectMany(parent => parent.Listeners).Any(at => at.Owner == owner && at.Name == listener);

    private static IEnumerable<ApiReference> TargetsOf(ApiRule rule) =>
        rule.Backends.Select(backend =>
            backend.To).Concat(rule.Mirrors.Concat(rule.Backends.SelectMany(backend => backend.Mirrors)).Select(mirror => mirror.To));

    private static string Rules(ApiRoute route) => route.Rules.Count == 0 ? "no rules" : $"rule {string.Join(", ", route.Rules.Index().Select(NameOf))}";

    private static string NameOf((int Index, ApiRule Item) rule) => rule.Item.Name.Length > 0 ? rule.Item.Name : $"{rule.Index}";

    private static bool IsOf(ApiReference to, string ns, string name) => to is { Group: "", Kind: "Service" } && to.Namespace == ns && to.Name == name;

    private static IReadOnlyList<string> ParentsOf(AttachedRoute attached, RouteStatus? status) =>
    [
        .. attached.Parents.SelectMany(parent => parent.Listeners.Select(listener =>
            $"{parent.Parent.Kind} {parent.Parent.Namespace}/{parent.Parent.Name} (listener {listener.Name})")),
        .. (status?.Parents ?? default).Where(parent => JudgedGatewayApi.KindOf(parent.Parent) is null
                && parent.Conditions.Any(condition => condition is { Type: "Accepted", Status: true }))
            .Select(parent => $"callers of {parent.Parent.Kind} {parent.Parent.Namespace}/{parent.Parent.Name}"),
    ];

    private static IReadOnlyList<string> RefusalsOf(RouteStatus? status) =>
    [
        .. from parent in status?.Parents ?? default
           from condition in parent.Conditions
           where condition is { Type: "Accepted" or "ResolvedRefs", Status: false }
           select $"{condition.Type} is False at {parent.Parent.Kind} {parent.Parent.Namespace}/{parent.Parent.Name} ({condition.Reason}): {condition.Message}",
    ];
}

/// <summary>A Gateway that a Pod serves.</summary>
public sealed record DescribedGateway(string Name, string Class, IReadOnlyList<DescribedListener> Listeners);

/// <param name="Place">Protocol, port and hostname.</param>
/// <param name="Routes">Those that it takes, with their rules.</param>
/// <param name="Set">The ListenerSet that has it; empty: the Gateway itself.</param>
public sealed record DescribedListener(string Name, string Place, IReadOnlyList<string> Routes, string Set);
