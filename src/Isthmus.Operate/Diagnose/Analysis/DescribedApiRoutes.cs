using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
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
           select Of(api, gateway),
    ];

    /// <summary>A Gateway by its name; null if there is none. Pure.</summary>
    internal static DescribedGateway? Named(JudgedGatewayApi? api, string ns, string name) =>
        api?.Verdicts.Gateways.FirstOrDefault(gateway => gateway.Namespace == ns && gateway.Name == name) is { } found ? Of(api, found) : null;

    private static DescribedGateway Of(JudgedGatewayApi api, ApiGateway gateway)
    {
        var status = api.Find(gateway.Source)?["status"];
        return new($"{gateway.Namespace}/{gateway.Name}", gateway.Class, ListenersOf(api, gateway))
        {
            IsOurs = api.Verdicts.ControllerOf(gateway) is not null,
            Addresses = [.. (status?["addresses"] as JsonArray ?? []).Select(address => Visible.Text(address?["value"]?.ToString() ?? ""))],
            Conditions = [.. (status?["conditions"] as JsonArray ?? []).Select(condition => Visible.Text(
                $"{condition?["type"]} is {condition?["status"]} ({condition?["reason"]}): {condition?["message"]}"))],
            Refused = [.. from attached in api.Verdicts.Routes.OrderBy(attached => attached.Route.Source)
                          from parent in api.Verdicts.OfRoute(attached.Route.Source)?.Parents ?? default
                          where JudgedGatewayApi.KindOf(parent.Parent) == MeshApi.ApiGateway && parent.Parent.Namespace == gateway.Namespace
                              && parent.Parent.Name == gateway.Name
                          from condition in parent.Conditions
                          where condition is { Type: "Accepted" or "ResolvedRefs", Status: false }
                          select new RefusedRoute(JudgedGatewayApi.Name(attached.Route.Source),
                              $"{condition.Type} is False ({condition.Reason}): {condition.Message}")],
        };
    }

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

/// <summary>A Gateway of the Gateway API.</summary>
public sealed record DescribedGateway(string Name, string Class, IReadOnlyList<DescribedListener> Listeners)
{
    /// <summary>Whether control planes of the mesh serve its class.</summary>
    public bool IsOurs { get; init; }

    /// <summary>Where it can be called, as its status says.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [];

    /// <summary>Those of its status.</summary>
    public IReadOnlyList<string> Conditions { get; init; } = [];

    /// <summary>Routes that name it as their parent, and that it does not take, or not as they are written.</summary>
    public IReadOnlyList<RefusedRoute> Refused { get; init; } = [];

    /// <summary>All objects that are part of it, as findings name them.</summary>
    internal IEnumerable<string> Names =>
    [
        $"{MeshApi.ApiGateway.Name} {Name}", .. Listeners.Select(listener => listener.Set).Where(set => set.Length > 0),
        .. Listeners.SelectMany(listener => listener.Routes).Select(route => route.Split(" (")[0]), .. Refused.Select(route => route.Route),
    ];
}

/// <param name="Route">As <c>HTTPRoute namespace/name</c>.</param>
public sealed record RefusedRoute(string Route, string Reason);

/// <param name="Place">Protocol, port and hostname.</param>
/// <param name="Routes">Those that it takes, with their rules.</param>
/// <param name="Set">The ListenerSet that has it; empty: the Gateway itself.</param>
public sealed record DescribedListener(string Name, string Place, IReadOnlyList<string> Routes, string Set);
