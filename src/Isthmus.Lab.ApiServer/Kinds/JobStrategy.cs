using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Jobs: their own selector and labels, made from the uid.</summary>
internal sealed class JobStrategy : ObjectStrategy
{
    public override bool HasGeneration => true;

    /// <summary>Labels and selector hold the uid and the name, which are only known now.</summary>
    public override IWriteReservation? Reserve(JsonObject? old, JsonObject? next, WriteContext context)
    {
        if (old is not null || next is null) return null;
        var spec = next.Ensure("spec");
        if (Json.Truth(spec["manualSelector"]) == true) return null;
        var metadata = next.Ensure("metadata");
        var (uid, name) = (Json.Text(metadata["uid"]), Json.Text(metadata["name"]));
        spec["selector"] = new JsonObject { ["matchLabels"] = new JsonObject { ["batch.kubernetes.io/controller-uid"] = uid } };
        var labels = spec.Ensure("template").Ensure("metadata").Ensure("labels");
        foreach (var (key, value) in OwnLabels(uid, name)) labels[key] = value;
        metadata.Default("labels", labels.DeepClone());
        return null;
    }

    public override void Default(JsonObject o)
    {
        var spec = o.Ensure("spec");
        Spec(spec);
        spec.Default("manualSelector", false);
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context) => ValidateSpec(o["spec"] as JsonObject ?? [], "spec", context);

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) =>
        Check.Unchanged("spec.selector", old.At("spec", "selector"), next.At("spec", "selector"))
            .Concat(Json.Truth(old.At("spec", "suspend")) == true
                ? []
                : Check.Unchanged("spec.template", old.At("spec", "template"), next.At("spec", "template")))
            .Concat(Check.Unchanged("spec.completionMode", old.At("spec", "completionMode"), next.At("spec", "completionMode")));

    protected override JsonObject InitialStatus(JsonObject o) => [];

    public static void Spec(JsonObject spec)
    {
        if (spec["parallelism"] is null && spec["completions"] is null)
        {
            spec["completions"] = 1;
            spec["parallelism"] = 1;
        }
        spec.Default("parallelism", 1);
        spec.Default("backoffLimit", 6);
        PodDefaults.Template(spec);
        spec.Default("completionMode", "NonIndexed");
        spec.Default("suspend", false);
        spec.Default("podReplacementPolicy", spec["podFailurePolicy"] is null ? "TerminatingOrFailed" : "Failed");
    }

    public static IEnumerable<FieldError> ValidateSpec(JsonObject spec, string path, WriteContext context)
    {
        foreach (var number in (string[])["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"])
            foreach (var error in Check.NonNegative($"{path}.{number}", spec[number])) yield return error;
        if (spec.At("template", "spec") is not JsonObject pod) yield break;
        PodValidation.Warn(pod, $"{path}.template.spec", context);
        foreach (var error in PodValidation.Spec(pod, $"{path}.template.spec")) yield return error;
        if (Json.Text(pod["restartPolicy"]) == "Always")
            yield return FieldError.Required($"{path}.template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\"");
    }

    private static IEnumerable<(string Key, string Value)> OwnLabels(string uid, string name) =>
    [
        ("batch.kubernetes.io/controller-uid", uid), ("batch.kubernetes.io/job-name", name), ("controller-uid", uid), ("job-name", name),
    ];
}

internal sealed class CronJobStrategy : ObjectStrategy
{
    public override bool HasGeneration => true;

    public override void Default(JsonObject o)
    {
        var spec = o.Ensure("spec");
        spec.Default("concurrencyPolicy", "Allow");
        spec.Default("suspend", false);
        var template = spec.Ensure("jobTemplate");
        var metadata = template.Ensure("metadata");
        if (!metadata.ContainsKey("creationTimestamp")) metadata["creationTimestamp"] = null;
        // Only the Pod template: the rest is defaulted when a Job is made of it.
        PodDefaults.Template(template.Ensure("spec"));
        spec.Default("successfulJobsHistoryLimit", 3);
        spec.Default("failedJobsHistoryLimit", 1);
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var spec = o["spec"] as JsonObject ?? [];
        return Check.Required("spec.schedule", spec["schedule"])
            .Concat(Check.OneOf("spec.concurrencyPolicy", spec["concurrencyPolicy"], "Allow", "Forbid", "Replace"))
            .Concat(JobStrategy.ValidateSpec(spec.At("jobTemplate", "spec") as JsonObject ?? [], "spec.jobTemplate.spec", context));
    }

    protected override JsonObject InitialStatus(JsonObject o) => [];
}
