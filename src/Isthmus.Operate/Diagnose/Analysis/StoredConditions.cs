using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What control planes have written into statuses, and what does not follow from objects alone. Pure.</summary>
public static class StoredConditions
{
    private const string Waypoint = "istio.io/WaypointBound";

    public static Analyzer Analyzer { get; } = new("conditions.ConditionAnalyzer",
        "Checks the conditions in statuses, of what does not follow from objects alone", [IstioCodes.NegativeCondition], [], mesh =>
        from cluster in mesh.Readable
        let api = mesh.GatewayApis.FirstOrDefault(api => api.Cluster == cluster)
        from finding in Plain(cluster, MeshApi.Service, Waypoint)
            .Concat(Plain(cluster, MeshApi.ServiceEntry, Waypoint))
            .Concat(Plain(cluster, MeshApi.WorkloadEntry, Waypoint))
            .Concat(Plain(cluster, MeshApi.AuthorizationPolicy, "ZtunnelAccepted", "WaypointAccepted"))
            .Concat(api is null ? [] : Gateways(api).Concat(ClusterInventory.ApiRouteKinds.SelectMany(kind => OfRoutes(api, kind))))
        select finding);

    private static IEnumerable<Finding> Plain(ClusterInventory cluster, KindDescriptor kind, params string[] types) =>
        from item in cluster.Objects(kind.Name)
        from condition in Conditions(item["status"]?["conditions"], item)
        where types.Contains(Text(condition, "type")) && (Text(condition, "status") == "False" || Text(condition, "reason") == "PartiallyInvalid")
        select At(cluster, item, "status.conditions", condition, ConditionRemedies.OfAmbient(cluster, kind, NamespaceOf(item)));

    /// <summary>Whether Pods serve a Gateway does not follow from it. Whose class is another controller's is left alone.</summary>
    private static IEnumerable<Finding> Gateways(JudgedGatewayApi api)
    {
        foreach (var item in api.Cluster.Objects(MeshApi.ApiGateway.Name))
        {
            var gateway = api.Verdicts.Gateways.FirstOrDefault(known => ClusterInventory.NameOf(item) == JudgedGatewayApi.Name(known.Source));
            var isOurs = gateway is not null && api.Verdicts.ControllerOf(gateway) is not null;
            if (!isOurs && api.Cluster.Find($"{MeshApi.GatewayClass.Name} {gateway?.Class}") is not null) continue;
            var judged = isOurs ? api.Verdicts.OfGateway(gateway!.Source) : null;
            var isRejected = judged?.Conditions.Any(condition => condition is { Type: "Accepted", Status: false, Reason: "ListenersNotValid" }) == true;
            foreach (var condition in Conditions(item["status"]?["conditions"], item))
            {
                var type = Text(condition, "type");
                if (Text(condition, "status") != "False" || type is not ("Accepted" or "Programmed" or "ResolvedRefs")) continue;
                // The control plane may say less now than when it wrote; and a fault of a listener or a reference is reported with its field.
                if (judged is not null && (type == "ResolvedRefs" || Text(condition, "reason") == "ListenersNotValid")) continue;
                if (isRejected && Text(condition, "reason") == "Invalid") continue;
                yield return At(api.Cluster, item, "status.conditions", condition,
                    ConditionRemedies.OfGateway(api.Cluster.Context, NamespaceOf(item), item["metadata"]?["name"]?.ToString() ?? "",
                        Text(condition, "reason")));
            }
        }
    }

    private static IEnumerable<Finding> OfRoutes(JudgedGatewayApi api, KindDescriptor kind) =>
        from item in api.Cluster.Objects(kind.Name)
        let source = new Mesh.Model.ObjectRef(api.Cluster.Context, kind.Name, item["metadata"]?["namespace"]?.ToString() ?? "",
            item["metadata"]?["name"]?.ToString() ?? "")
        where api.Verdicts.OfRoute(source) is null
        from parent in item["status"]?["parents"] as JsonArray ?? []
        where Text(parent, "controllerName") is "" or GatewayClasses.Controller
        from condition in Conditions(parent?["conditions"], item)
        where Text(condition, "status") == "False" && Text(condition, "type") is "Accepted" or "Programmed" or "ResolvedRefs"
        select At(api.Cluster, item, "status.parents", condition, ConditionRemedies.OfStrayRoute(ClusterInventory.NameOf(item)));

    /// <summary>Those of the object as it is.</summary>
    private static IEnumerable<JsonNode> Conditions(JsonNode? conditions, JsonObject item) =>
        (conditions as JsonArray ?? []).OfType<JsonNode>().Where(condition =>
            Text(condition, "observedGeneration") is var seen && (seen.Length == 0 || item["metadata"]?["generation"] is not { } now
                || seen == now.ToString()));

    private static Finding At(ClusterInventory cluster, JsonObject item, string path, JsonNode condition, string remedy) =>
        IstioCodes.NegativeCondition.At(cluster, ClusterInventory.NameOf(item), path,
            Visible.Text($"{Text(condition, "type")} is {Text(condition, "status")} ({Text(condition, "reason")}): {Text(condition, "message")}"), remedy);

    private static string NamespaceOf(JsonObject item) => item["metadata"]?["namespace"]?.ToString() ?? "";

    private static string Text(JsonNode? node, string field) => node is JsonObject item ? item[field]?.ToString() ?? "" : "";
}
