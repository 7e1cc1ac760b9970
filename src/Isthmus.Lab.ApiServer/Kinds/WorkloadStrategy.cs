using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>What Deployments, ReplicaSets, StatefulSets and DaemonSets share: an immutable selector that matches a Pod template.</summary>
internal abstract class WorkloadStrategy : ObjectStrategy
{
    public override bool HasGeneration => true;

    public override void Default(JsonObject o)
    {
        var spec = o.Ensure("spec");
        PodDefaults.Template(spec);
        DefaultSpec(spec);
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        if (o["spec"] is not JsonObject spec) return [FieldError.Required("spec")];
        return Check.NonNegative("spec.replicas", spec["replicas"])
            .Concat(ValidateSelector(spec))
            .Concat(ValidateSpec(spec))
            .Concat(ValidateTemplate(spec, context));
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        var (held, wanted) = (old.At("spec", "selector"), next.At("spec", "selector"));
        if (!JsonNode.DeepEquals(held, wanted))
            yield return new("FieldValueInvalid", "spec.selector", $"Invalid value: {GoSelector(wanted)}: {Check.Immutable}");
    }

    protected abstract void DefaultSpec(JsonObject spec);

    protected virtual IEnumerable<FieldError> ValidateSpec(JsonObject spec) => [];

    private static IEnumerable<FieldError> ValidateSelector(JsonObject spec)
    {
        if (LabelSelector.Read(spec["selector"]) is not { } selector)
        {
            yield return FieldError.Required("spec.selector");
        }
        else
        {
            foreach (var error in Check.Selector("spec.selector", spec["selector"])) yield return error;
            if (selector.IsEmpty)
                yield return FieldError.Invalid("spec.selector", spec["selector"]!.DeepClone(), "empty selector is invalid for deployment");
        }
        var labels = spec.At("template", "metadata", "labels");
        if (LabelSelector.Read(spec["selector"]) is { } wanted && wanted.Matches(Json.Map(labels).Items)) yield break;
        var shown = GoText.Map(labels is JsonObject ? Json.Map(labels) : null);
        yield return new("FieldValueInvalid", "spec.template.metadata.labels", $"Invalid value: {shown}: `selector` does not match template `labels`");
    }

    private static IEnumerable<FieldError> ValidateTemplate(JsonObject spec, WriteContext context)
    {
        if (spec.At("template", "spec") is not JsonObject template) yield break;
        var pod = WithClaims(template, spec);
        PodValidation.Warn(pod, "spec.template.spec", context);
        foreach (var error in PodValidation.Spec(pod, "spec.template.spec")) yield return error;
        if (Json.Text(pod["restartPolicy"]) is ("OnFailure" or "Never") and var policy)
            yield return FieldError.NotSupported("spec.template.spec.restartPolicy", policy, ["Always"]);
    }

    /// <summary>Containers of a StatefulSet may mount its claims as if the template had volumes of their names.</summary>
    private static JsonObject WithClaims(JsonObject template, JsonObject spec)
    {
        var claims = Json.Objects(spec["volumeClaimTemplates"]).Select(claim => Json.Text(claim.At("metadata", "name"))).ToHashSet(StringComparer.Ordinal);
        if (claims.Count == 0) return template;
        var pod = (JsonObject)template.DeepClone();
        var volumes = Json.Objects(pod["volumes"]).Where(volume => !claims.Contains(Json.Text(volume["name"]))).Select(volume => volume.DeepClone());
        pod["volumes"] = new JsonArray([.. volumes, .. claims.Select(name => (JsonNode)new JsonObject { ["name"] = name, ["emptyDir"] = new JsonObject() })]);
        return pod;
    }

    private static string GoSelector(JsonNode? selector)
    {
        var labels = selector.At("matchLabels") is JsonObject map ? GoText.Map(Json.Map(map)) : GoText.Map(null);
        var terms = selector.At("matchExpressions") is JsonArray { Count: > 0 } list
            ? list.ToJsonString(JsonText.Relaxed)
            : "[]v1.LabelSelectorRequirement(nil)";
        return $"v1.LabelSelector{{MatchLabels:{labels}, MatchExpressions:{terms}}}";
    }
}

internal sealed class DeploymentStrategy : WorkloadStrategy
{
    protected override JsonObject InitialStatus(JsonObject o) => [];

    protected override void DefaultSpec(JsonObject spec)
    {
        spec.Default("replicas", 1);
        var strategy = spec.Ensure("strategy");
        strategy.Default("type", "RollingUpdate");
        if (Json.Text(strategy["type"]) == "RollingUpdate")
        {
            var rolling = strategy.Ensure("rollingUpdate");
            rolling.Default("maxUnavailable", "25%");
            rolling.Default("maxSurge", "25%");
        }
        spec.Default("revisionHistoryLimit", 10);
        spec.Default("progressDeadlineSeconds", 600);
    }

    protected override IEnumerable<FieldError> ValidateSpec(JsonObject spec)
    {
        var strategy = spec["strategy"] as JsonObject;
        foreach (var error in Check.OneOf("spec.strategy.type", strategy?["type"], "Recreate", "RollingUpdate")) yield return error;
        if (Json.Text(strategy?["type"]) == "Recreate" && strategy?["rollingUpdate"] is not null)
            yield return FieldError.Forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        var rolling = strategy?["rollingUpdate"];
        if (IsZero(rolling.At("maxUnavailable")) && IsZero(rolling.At("maxSurge")) && rolling is not null)
            yield return FieldError.Invalid("spec.strategy.rollingUpdate.maxUnavailable", rolling.At("maxUnavailable")?.DeepClone(),
                "may not be 0 when `maxSurge` is 0");
        foreach (var number in (string[])["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"])
            foreach (var error in Check.NonNegative($"spec.{number}", spec[number])) yield return error;
        if (Json.Whole(spec["progressDeadlineSeconds"]) is { } deadline && deadline <= (Json.Whole(spec["minReadySeconds"]) ?? 0))
            yield return FieldError.Invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }

    private static bool IsZero(JsonNode? node) => Json.Whole(node) == 0 || Json.Text(node) == "0%";
}

internal sealed class ReplicaSetStrategy : WorkloadStrategy
{
    protected override JsonObject InitialStatus(JsonObject o) => new() { ["replicas"] = 0 };

    protected override void DefaultSpec(JsonObject spec) => spec.Default("replicas", 1);
}

internal sealed class StatefulSetStrategy : WorkloadStrategy
{
    private static readonly ValueList<string> Mutable =
        ["replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds", "selector"];

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        foreach (var error in base.ValidateUpdate(old, next, context)) yield return error;
        if (old["spec"] is not JsonObject held || next["spec"] is not JsonObject wanted) yield break;
        var fixedFields = held.Select(pair => pair.Key).Union(wanted.Select(pair => pair.Key)).Where(key => !Mutable.Contains(key));
        if (fixedFields.Any(key => !JsonNode.DeepEquals(held[key], wanted[key])))
            yield return FieldError.Forbidden("spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
                    + "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
    }

    protected override JsonObject InitialStatus(JsonObject o) => new() { ["replicas"] = 0, ["availableReplicas"] = 0 };

    protected override void DefaultSpec(JsonObject spec)
    {
        spec.Default("replicas", 1);
        foreach (var claim in Json.Objects(spec["volumeClaimTemplates"])) ClaimTemplate(claim);
        spec.Default("podManagementPolicy", "OrderedReady");
        var update = spec.Ensure("updateStrategy");
        update.Default("type", "RollingUpdate");
        if (Json.Text(update["type"]) == "RollingUpdate") update.Ensure("rollingUpdate").Default("partition", 0);
        spec.Default("revisionHistoryLimit", 10);
        var retention = spec.Ensure("persistentVolumeClaimRetentionPolicy");
        retention.Default("whenDeleted", "Retain");
        retention.Default("whenScaled", "Retain");
    }

    private static void ClaimTemplate(JsonObject claim)
    {
        claim.Default("kind", "PersistentVolumeClaim");
        claim.Default("apiVersion", "v1");
        var metadata = claim.Ensure("metadata");
        if (!metadata.ContainsKey("creationTimestamp")) metadata["creationTimestamp"] = null;
        claim.Ensure("spec").Default("volumeMode", "Filesystem");
        claim.Ensure("status").Default("phase", "Pending");
    }
}

internal sealed class DaemonSetStrategy : WorkloadStrategy
{
    private const string TemplateGeneration = "deprecated.daemonset.template.generation";

    public override void PrepareForCreate(JsonObject o, WriteContext context)
    {
        base.PrepareForCreate(o, context);
        o.Ensure("metadata").Ensure("annotations")[TemplateGeneration] = "1";
    }

    protected override JsonObject InitialStatus(JsonObject o) => new()
    {
        ["currentNumberScheduled"] = 0,
        ["numberMisscheduled"] = 0,
        ["desiredNumberScheduled"] = 0,
        ["numberReady"] = 0,
    };

    protected override void DefaultSpec(JsonObject spec)
    {
        var update = spec.Ensure("updateStrategy");
        update.Default("type", "RollingUpdate");
        if (Json.Text(update["type"]) == "RollingUpdate")
        {
            var rolling = update.Ensure("rollingUpdate");
            rolling.Default("maxUnavailable", 1);
            rolling.Default("maxSurge", 0);
        }
        spec.Default("revisionHistoryLimit", 10);
    }
}
