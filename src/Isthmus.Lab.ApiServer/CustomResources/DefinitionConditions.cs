using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>The conditions of a CustomResourceDefinition.</summary>
internal static class DefinitionConditions
{
    public const string NamesAccepted = "NamesAccepted";
    public const string Established = "Established";
    public const string Terminating = "Terminating";

    public static bool IsTrue(JsonObject definition, string type) =>
        Json.Objects(definition.At("status", "conditions")).Any(condition => Json.Text(condition["type"]) == type && Json.Text(condition["status"]) == "True");

    /// <returns>True when something changed.</returns>
    public static bool Set(JsonObject definition, string type, bool holds, string reason, string message, DateTimeOffset now)
    {
        var status = definition.Ensure("status");
        if (status["conditions"] is not JsonArray list) status["conditions"] = list = [];
        var value = holds ? "True" : "False";
        var held = Json.Objects(list).FirstOrDefault(condition => Json.Text(condition["type"]) == type);
        if (held is not null && Json.Text(held["status"]) == value && Json.Text(held["reason"]) == reason && Json.Text(held["message"]) == message)
            return false;
        var since = held is not null && Json.Text(held["status"]) == value ? Json.Text(held["lastTransitionTime"]) : ApiTime.Seconds(now);
        var condition = new JsonObject
        {
            ["type"] = type,
            ["status"] = value,
            ["lastTransitionTime"] = since,
            ["reason"] = reason,
            ["message"] = message,
        };
        if (held is null) list.Add((JsonNode)condition);
        else list[list.IndexOf(held)] = condition;
        return true;
    }
}
