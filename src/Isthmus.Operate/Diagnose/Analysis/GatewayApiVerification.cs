using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Gateways, routes, policies and definitions of the Gateway API as checks of <c>verify</c>: whether they are served, and known. Pure.</summary>
public static class GatewayApiVerification
{
    private const string NotProgrammed = "ISM1037", NotAccepted = "ISM1038", Unapplied = "ISM1042";

    /// <param name="clusters">Those that are verified. One without a control plane of its own is left out: nobody reads its objects.</param>
    public static IEnumerable<Check> Checks(IReadOnlyList<ClusterInventory> clusters) =>
        JudgedGatewayApi.Of([.. clusters.Where(cluster => cluster.Error.Length == 0)], isAll: false)
            .Where(api => MeshSnapshot.HasControlPlane(api.Cluster)).SelectMany(Of);

    private static IEnumerable<Check> Of(JudgedGatewayApi api)
    {
        foreach (var unknown in GatewayApiDefinitions.Unknown(api.Cluster))
            yield return new(api.Cluster.Context, "definition", unknown.Problem.Object, unknown.Problem);
        foreach (var gateway in api.Verdicts.Gateways.OrderBy(gateway => gateway.Source))
        {
            if (api.Verdicts.ControllerOf(gateway) is null)
            {
                if (UnservedGateways.Of(api, gateway)?.Problem is { } unserved)
                    yield return new(api.Cluster.Context, "Gateway", $"{gateway.Namespace}/{gateway.Name} of class {gateway.Class}",
                        unserved with { Code = NotProgrammed, Object = $"Gateway {gateway.Namespace}/{gateway.Name} in {api.Cluster.Context}" });
                continue;
            }
            var status = api.Find(gateway.Source)?["status"];
            var conditions = status?["conditions"];
            var wrong = Negative(conditions, gateway.Generation.Number, "Accepted") ?? Negative(conditions, gateway.Generation.Number, "Programmed");
            var isJudged = Current(conditions, gateway.Generation.Number, "Programmed") is not null;
            var addresses = string.Join(", ", (status?["addresses"] as JsonArray ?? []).Select(address => Visible.Text(address?["value"]?.ToString() ?? "")));
            yield return new(api.Cluster.Context, "Gateway", $"{gateway.Namespace}/{gateway.Name} at {(addresses.Length > 0 ? addresses : "no address")}",
                wrong is null && isJudged ? null
                : wrong is null ? Wrong(NotProgrammed, api, $"Gateway {gateway.Namespace}/{gateway.Name}",
                    "no control plane has said whether it serves the Gateway as it is",
                    $"check that a control plane of its revision is ready (label {Labels.Revision} of the Gateway or of its namespace; without one, the "
                    + $"default revision): kubectl --context={api.Cluster.Context} get pods -A -l app={WellKnown.Istiod} -L {Labels.Revision}")
                : Wrong(NotProgrammed, api, $"Gateway {gateway.Namespace}/{gateway.Name}", wrong,
                    $"kubectl --context={api.Cluster.Context} -n {gateway.Namespace} get gateways.{MeshApi.ApiGateway.Group} {gateway.Name} -o yaml; "
                    + "'isthmus analyze' names fields at fault"));
            // A Gateway is served while one of its listeners is.
            foreach (var (index, listener) in gateway.Listeners.Index())
                if (Negative((status?["listeners"] as JsonArray ?? []).FirstOrDefault(one => one?["name"]?.ToString() == listener.Name)?["conditions"],
                    gateway.Generation.Number, "ResolvedRefs") is { } unresolved)
                    yield return new(api.Cluster.Context, "listener", $"{listener.Name} of {gateway.Namespace}/{gateway.Name}",
                        Wrong(NotProgrammed, api, $"Gateway {gateway.Namespace}/{gateway.Name}", unresolved,
                            $"isthmus analyze --contexts {api.Cluster.Context} -n {gateway.Namespace}") with { Path = $"spec.listeners[{index}]" });
        }
        foreach (var route in api.Verdicts.Routes.Select(attached => attached.Route).OrderBy(route => route.Source))
        {
            var refused = from parent in api.Verdicts.OfRoute(route.Source)?.Parents ?? default
                          from condition in parent.Conditions
                          where condition is { Type: "Accepted" or "ResolvedRefs", Status: false }
                          let at = $"{parent.Parent.Kind} {parent.Parent.Namespace}/{parent.Parent.Name}"
                          from message in Messages(api, route, condition)
                          select $"{condition.Type} at {at} is False ({condition.Reason}): {message}";
            foreach (var wrong in refused.Distinct())
                yield return new(api.Cluster.Context, "route", JudgedGatewayApi.Name(route.Source),
                    Wrong(NotAccepted, api, JudgedGatewayApi.Name(route.Source), wrong,
                        $"isthmus analyze --contexts {api.Cluster.Context} -n {route.Namespace}"));
        }
        foreach (var found in GatewayApiTargets.Policies(api).Concat(GatewayApiTargets.TrafficPolicies(api)))
            yield return new(api.Cluster.Context, "policy", found.Problem.Object,
                found.Problem with { Code = Unapplied, Object = $"{found.Problem.Object} in {api.Cluster.Context}" });
    }

    /// <summary>Of references, a control plane that knows more clusters than were read has the word.</summary>
    private static IEnumerable<string> Messages(JudgedGatewayApi api, ApiRoute route, ApiCondition condition) =>
        condition.Type == "ResolvedRefs" && api.SaidOfReferences(route.Source) is { } said ? said.Select(Visible.Text) : [condition.Message];

    private static string? Negative(JsonNode? conditions, long generation, string type) =>
        Current(conditions, generation, type) is { } condition && condition["status"]?.ToString() == "False"
            ? Visible.Text($"{type} is False ({condition["reason"]}): {condition["message"]}") : null;

    /// <summary>Only of the object as it is.</summary>
    private static JsonNode? Current(JsonNode? conditions, long generation, string type) => (conditions as JsonArray ?? []).FirstOrDefault(condition =>
        condition?["type"]?.ToString() == type && (condition["observedGeneration"]?.ToString() is not { } seen || generation == 0 || seen == $"{generation}"));

    private static Problem Wrong(string code, JudgedGatewayApi api, string name, string message, string remedy) => new(code,
        $"{name} in {api.Cluster.Context}", "", message, remedy);
}
