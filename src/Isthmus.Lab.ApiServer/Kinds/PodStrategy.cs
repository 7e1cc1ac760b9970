using System.Numerics;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Pods: almost nothing of the spec may change; deletion waits for the node.</summary>
internal sealed class PodStrategy : ObjectStrategy
{
    private const string UpdateText =
        "pod updates may not change fields other than "
            + "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
            + "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

    public override bool DeleteReturnsObject => true;

    public override void Default(JsonObject o) => PodDefaults.Pod(o.Ensure("spec"));

    public override void PrepareForUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        // The node's agent reports a status without it.
        if (context.Subresource == "status" && next["status"] is JsonObject status && old.At("status", "qosClass") is { } qos)
            status["qosClass"] = qos.DeepClone();
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        if (o["spec"] is not JsonObject spec) return [FieldError.Required("spec")];
        PodValidation.Warn(spec, "spec", context);
        return PodValidation.Spec(spec, "spec");
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        if (context.Subresource == "ephemeralcontainers")
            foreach (var error in PodValidation.Ephemeral(old, next)) yield return error;
        if (context.Subresource is "status" or "ephemeralcontainers" or "binding") yield break;
        var (held, wanted) = (Comparable(old), Comparable(next));
        foreach (var path in ChangedPaths(held, wanted, "spec").Take(1))
            yield return FieldError.Forbidden("spec", $"{UpdateText}\n{path}");
        if (!TolerationsKept(old, next))
            yield return FieldError.Forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
    }

    public override DeletionGrace Grace(JsonObject o, long? requested)
    {
        // A Pod without a node, or one that has ended, is removed at once.
        if (o.TextAt("spec", "nodeName").Length == 0 || o.TextAt("status", "phase") is "Succeeded" or "Failed") return default;
        var grace = requested ?? Json.Whole(o.At("spec", "terminationGracePeriodSeconds")) ?? 30;
        return grace <= 0 ? default : new(grace);
    }

    protected override JsonObject InitialStatus(JsonObject o) => new() { ["phase"] = "Pending", ["qosClass"] = QosClass.Of(o["spec"]) };

    /// <summary>The spec, with the fields that may change set to the old values.</summary>
    private static JsonObject Comparable(JsonObject pod)
    {
        var spec = pod["spec"] is JsonObject held ? (JsonObject)held.DeepClone() : [];
        foreach (var list in (string[])["containers", "initContainers"])
            foreach (var container in Json.Objects(spec[list])) container["image"] = "";
        foreach (var field in (string[])["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"]) spec.Remove(field);
        return spec;
    }

    private static IEnumerable<string> ChangedPaths(JsonNode? old, JsonNode? next, string path)
    {
        if (JsonNode.DeepEquals(old, next)) return [];
        if (old is JsonObject a && next is JsonObject b)
            return a.Select(pair => pair.Key).Union(b.Select(pair => pair.Key)).SelectMany(key => ChangedPaths(a[key], b[key], $"{path}.{key}"));
        return [$"{path}: {old?.ToJsonString(JsonText.Relaxed) ?? "unset"} → {next?.ToJsonString(JsonText.Relaxed) ?? "unset"}"];
    }

    private static bool TolerationsKept(JsonObject old, JsonObject next)
    {
        var now = Json.Objects(next.At("spec", "tolerations")).Select(Key).ToList();
        return Json.Objects(old.At("spec", "tolerations")).Select(Key).All(now.Contains);

        static string Key(JsonObject toleration) =>
            $"{toleration["key"]}|{toleration["operator"]}|{toleration["value"]}|{toleration["effect"]}";
    }
}

/// <summary>The QoS class of a Pod.</summary>
internal static class QosClass
{
    private static readonly string[] Counted = ["cpu", "memory"];

    public static string Of(JsonNode? spec)
    {
        var guaranteed = true;
        var any = false;
        foreach (var container in Json.Objects(spec.At("containers")).Concat(Json.Objects(spec.At("initContainers"))))
            foreach (var resource in Counted)
            {
                var (request, limit) = (Amount(container, "requests", resource), Amount(container, "limits", resource));
                any |= request > 0 || limit > 0;
                guaranteed &= limit > 0 && request == limit;
            }
        return guaranteed && any ? "Guaranteed" : any ? "Burstable" : "BestEffort";
    }

    private static BigInteger Amount(JsonObject container, string kind, string resource) =>
        container.At("resources", kind, resource) is { } node
        && Quantity.Nanos(Json.TextOrNull(node) ?? node.ToJsonString()) is { } amount ? amount : 0;
}
