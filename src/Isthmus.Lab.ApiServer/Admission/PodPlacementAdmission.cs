using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>Resolves a Pod's priority class, and lets it stay five minutes on a node that stopped answering.</summary>
internal sealed class PodPlacementAdmission(IObjectStore store) : IAdmissionPlugin
{
    private const int TolerationSeconds = 300;

    private static readonly string[] Taints = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request is not { Operation: "CREATE", Subresource: "", Kind: { Group: "", Plural: "pods" } }) return default;
        if (request.Object?["spec"] is not JsonObject spec) return default;
        SetPriority(request, spec);
        SetTolerations(spec);
        return default;
    }

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop) => default;

    private void SetPriority(AdmissionRequest request, JsonObject spec)
    {
        var (priority, policy) = (0L, "PreemptLowerPriority");
        if (Json.Text(spec["priorityClassName"]) is { Length: > 0 } name)
        {
            var found = store.Find(Resources.PriorityClasses, "", name)?.Parse()
                ?? throw ApiException.Forbidden("", "pods", request.Name, $"no PriorityClass with name {name} was found");
            priority = Json.Whole(found["value"]) ?? 0;
            if (Json.Text(found["preemptionPolicy"]) is { Length: > 0 } given) policy = given;
        }
        if (Json.Whole(spec["priority"]) is { } asked && asked != priority)
            throw ApiException.Forbidden("", "pods", request.Name,
                $"the integer value of priority ({asked}) must not be provided in pod spec; priority admission controller computed {priority} from the given "
                    + $"PriorityClass name");
        spec["priority"] = priority;
        spec.Default("preemptionPolicy", policy);
    }

    private static void SetTolerations(JsonObject spec)
    {
        var held = Json.Objects(spec["tolerations"]).ToList();
        var missing = Taints.Where(taint => !held.Any(toleration => Tolerates(toleration, taint))).ToList();
        if (missing.Count == 0) return;
        if (spec["tolerations"] is not JsonArray list) spec["tolerations"] = list = [];
        foreach (var taint in missing)
            list.Add((JsonNode)new JsonObject
            {
                ["key"] = taint,
                ["operator"] = "Exists",
                ["effect"] = "NoExecute",
                ["tolerationSeconds"] = TolerationSeconds,
            });
    }

    private static bool Tolerates(JsonObject toleration, string taint) =>
        Json.Text(toleration["key"]) is var key && (key == taint || key.Length == 0)
        && Json.Text(toleration["effect"]) is "NoExecute" or "";
}
