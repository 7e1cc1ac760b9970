using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>
/// How an <see cref="ApiStatus"/> stands in an object. Times of conditions that have not turned, the entries of other controllers and conditions of
/// types that are not ours stay as they are. Pure.
/// </summary>
internal static class WrittenStatus
{
    /// <summary>As many entries as the definitions allow.</summary>
    private const int MostParents = 32, MostAncestors = 16;

    /// <summary>Messages quote what objects say.</summary>
    private const int LongestMessage = 4096;

    /// <summary>The types of conditions that this controller writes: it removes those that no longer apply.</summary>
    private static readonly HashSet<string> OwnTypes = new(StringComparer.Ordinal)
    {
        "Accepted", "Programmed", "ResolvedRefs", "PartiallyInvalid", "Conflicted", "OverlappingTLSConfig", "InsecureFrontendValidationMode",
        "AddressesAssigned", "SupportedVersion", "Ready", "Scheduled", "Detached",
    };

    /// <returns>The fields of the status that differ from those of the object; null if it says all that already.</returns>
    public static JsonObject? Changes(ApiStatus wanted, JsonObject @object, DateTimeOffset now)
    {
        var known = @object["status"] as JsonObject ?? [];
        var changes = new JsonObject();
        foreach (var (field, value) in Fields(new(wanted.Generation.Number, ApiTime.Seconds(now)), wanted, known))
        {
            if (value is JsonArray { Count: 0 } && known[field] is null) continue;
            if (!JsonNode.DeepEquals(value, known[field])) changes[field] = value;
        }
        return changes.Count > 0 ? changes : null;
    }

    private static IEnumerable<(string Field, JsonNode? Value)> Fields(Stamp stamp, ApiStatus wanted, JsonObject known) => wanted switch
    {
        SupportStatus status =>
        [
            ("conditions", Conditions(stamp, status.Conditions, known["conditions"])),
            ("supportedFeatures", List(status.Features.Order(StringComparer.Ordinal).Select(feature => new JsonObject { ["name"] = feature }))),
        ],
        GatewayStatus status =>
        [
            // API servers drop what the definitions that they have do not know: the routability is of v1.7.
            ("addresses", List(status.Addresses.Select(address => new JsonObject
            {
                ["routability"] = address.Routability, ["type"] = address.Type, ["value"] = address.Value,
            }))),
            ("attachedListenerSets", status.AttachedListenerSets > 0 ? status.AttachedListenerSets : null),
            ("conditions", Conditions(stamp, status.Conditions, known["conditions"])),
            ("listeners", Listeners(stamp, status.Listeners, known["listeners"])),
        ],
        ListenerSetStatus status =>
        [
            ("conditions", Conditions(stamp, status.Conditions, known["conditions"])),
            ("listeners", Listeners(stamp, status.Listeners, known["listeners"])),
        ],
        RouteStatus status => [("parents", Parents(stamp, "parentRef", status.Parents, known["parents"], MostParents))],
        PolicyStatus status => [("ancestors", Parents(stamp, "ancestorRef", status.Ancestors, known["ancestors"], MostAncestors))],
        _ => throw new ArgumentOutOfRangeException(nameof(wanted), wanted.GetType().Name, "has no form in objects"),
    };

    private static JsonArray Listeners(Stamp stamp, ValueList<ListenerStatus> wanted, JsonNode? known)
    {
        var before = Items(known).ToList();
        return List(wanted.Select(listener =>
        {
            var written = new JsonObject { ["attachedRoutes"] = listener.AttachedRoutes, ["name"] = listener.Name };
            written["conditions"] = Conditions(stamp, listener.Conditions, before.Find(item => (string?)item["name"] == listener.Name)?["conditions"]);
            // Older definitions demand the port of a ListenerSet's listener, and newer ones have no such field.
            if (listener.Port > 0) written["port"] = listener.Port;
            written["supportedKinds"] = List(listener.SupportedKinds.Select(kind => new JsonObject { ["group"] = kind.Group, ["kind"] = kind.Kind }));
            return written;
        }));
    }

    /// <param name="reference">The name of the field with the reference.</param>
    private static JsonArray Parents(Stamp stamp, string reference, ValueList<ParentStatus> wanted, JsonNode? known, int most)
    {
        var all = Items(known).ToList();
        var others = all.Where(item => !IsOurs(item)).ToList();
        var ours = all.Where(IsOurs).ToList();
        var written = wanted.Take(Math.Max(0, most - others.Count)).Select(parent =>
        {
            var to = Reference(parent.Parent);
            return new JsonObject
            {
                ["conditions"] = Conditions(stamp, parent.Conditions, ours.Find(item => JsonNode.DeepEquals(item[reference], to))?["conditions"]),
                ["controllerName"] = GatewayClasses.Controller,
                [reference] = to,
            };
        }).ToList();
        // An entry keeps its place, so that nothing is written for the sake of an order.
        var places = all.ConvertAll(item => IsOurs(item)
            ? written.Find(entry => JsonNode.DeepEquals(entry[reference], item[reference]))
            : (JsonObject)item.DeepClone());
        return List(places.OfType<JsonObject>().Concat(written.Where(entry => !places.Contains(entry))));
    }

    private static bool IsOurs(JsonObject entry) => (string?)entry["controllerName"] == GatewayClasses.Controller;

    private static JsonObject Reference(ApiReference to)
    {
        var written = new JsonObject();
        if (to.Written.HasFlag(ReferenceFields.Group)) written["group"] = to.Group;
        if (to.Written.HasFlag(ReferenceFields.Kind)) written["kind"] = to.Kind;
        written["name"] = to.Name;
        if (to.Written.HasFlag(ReferenceFields.Namespace)) written["namespace"] = to.Namespace;
        if (to.Port > 0) written["port"] = to.Port;
        if (to.Section.Length > 0) written["sectionName"] = to.Section;
        return written;
    }

    private static JsonArray Conditions(Stamp stamp, ValueList<ApiCondition> wanted, JsonNode? known)
    {
        var before = Items(known).ToList();
        var written = wanted.Select(condition => Condition(stamp, condition, before.Find(item => (string?)item["type"] == condition.Type))).ToList();
        var places = before.ConvertAll(item => written.Find(entry => (string?)entry["type"] == (string?)item["type"])
            ?? (OwnTypes.Contains((string?)item["type"] ?? "") ? null : (JsonObject)item.DeepClone()));
        return List(places.OfType<JsonObject>().Concat(written.Where(entry => !places.Contains(entry))));
    }

    private static JsonObject Condition(Stamp stamp, ApiCondition wanted, JsonObject? known)
    {
        var status = wanted.Status switch { true => "True", false => "False", null => "Unknown" };
        return new()
        {
            ["lastTransitionTime"] = (string?)known?["status"] == status && (string?)known["lastTransitionTime"] is { } since ? since : stamp.Now,
            ["message"] = wanted.Message.Length > LongestMessage ? wanted.Message[..LongestMessage] + "…" : wanted.Message,
            ["observedGeneration"] = stamp.Generation,
            ["reason"] = wanted.Reason,
            ["status"] = status,
            ["type"] = wanted.Type,
        };
    }

    private static IEnumerable<JsonObject> Items(JsonNode? list) => (list as JsonArray ?? []).OfType<JsonObject>();

    private static JsonArray List(IEnumerable<JsonObject> items) => new([.. items.Select(item => (JsonNode)item)]);

    /// <summary>What every condition of an object has.</summary>
    private readonly record struct Stamp(long Generation, string Now);
}
