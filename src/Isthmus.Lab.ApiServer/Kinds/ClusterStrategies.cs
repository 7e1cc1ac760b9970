using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Nodes register with their status; a field that they leave out reads as empty.</summary>
internal sealed class NodeStrategy : ObjectStrategy
{
    private static readonly string[] SystemTexts =
    [
        "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion",
        "operatingSystem", "architecture",
    ];

    public override void Default(JsonObject o)
    {
        o.Ensure("spec");
        var status = o.Ensure("status");
        status.Ensure("daemonEndpoints").Ensure("kubeletEndpoint").Default("Port", 0);
        var system = status.Ensure("nodeInfo");
        foreach (var field in SystemTexts) system.Default(field, "");
        if (status["capacity"] is JsonObject capacity) status.Default("allocatable", capacity.DeepClone());
    }
}

internal sealed class LeaseStrategy : ObjectStrategy
{
    public override bool CreateOnUpdate => true;

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        if (Json.Whole(o.At("spec", "leaseDurationSeconds")) is <= 0 and var seconds)
            yield return FieldError.Invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
        if (Json.Whole(o.At("spec", "leaseTransitions")) is < 0 and var transitions)
            yield return FieldError.Invalid("spec.leaseTransitions", transitions, Check.NotNegative);
    }
}

/// <summary>Events in the form of the core group; a newer form is converted to it.</summary>
internal sealed class EventStrategy : ObjectStrategy
{
    public override bool CreateOnUpdate => true;

    public override void Default(JsonObject o)
    {
        var old = o.ContainsKey("involvedObject") || Json.Text(o["apiVersion"]) is "" or "v1";
        o.Ensure(old ? "source" : "deprecatedSource");
        foreach (var time in old
            ? (string[])["firstTimestamp", "lastTimestamp", "eventTime"]
            : ["deprecatedFirstTimestamp", "deprecatedLastTimestamp", "eventTime"])
            if (!o.ContainsKey(time)) o[time] = null;
        o.Default(old ? "reportingComponent" : "reportingController", "");
        o.Default("reportingInstance", "");
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var about = o.ContainsKey("involvedObject") ? "involvedObject" : "regarding";
        var (home, theirs) = (o.TextAt("metadata", "namespace"), o.TextAt(about, "namespace"));
        // Objects without a namespace have their events in default.
        if (theirs.Length == 0 ? home is not ("default" or "kube-system") && o.TextAt(about, "kind").Length > 0 : theirs != home)
            yield return FieldError.Invalid($"{about}.namespace", theirs, "does not match event.namespace");
    }
}

internal sealed class PriorityClassStrategy : ObjectStrategy
{
    private const long HighestOfUsers = 1_000_000_000;

    public override bool HasGeneration => true;

    public override void Default(JsonObject o)
    {
        o.Default("value", 0);
        o.Default("preemptionPolicy", "PreemptLowerPriority");
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var system = o.TextAt("metadata", "name").StartsWith("system-", StringComparison.Ordinal);
        if (Json.Whole(o["value"]) > HighestOfUsers && !system)
            yield return FieldError.Forbidden("value", $"maximum allowed value of a user defined priority is {HighestOfUsers}");
        foreach (var error in Check.OneOf("preemptionPolicy", o["preemptionPolicy"], "Never", "PreemptLowerPriority")) yield return error;
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) =>
        JsonNode.DeepEquals(old["value"], next["value"]) ? [] : [FieldError.Forbidden("value", "may not be changed in an update.")];
}

internal sealed class LimitRangeStrategy : ObjectStrategy
{
    public override bool CreateOnUpdate => true;

    public override void Default(JsonObject o)
    {
        foreach (var item in Json.Objects(o.At("spec", "limits")).Where(item => Json.Text(item["type"]) == "Container"))
        {
            foreach (var (resource, amount) in item["max"] as JsonObject ?? []) item.Ensure("default").Default(resource, amount!.DeepClone());
            foreach (var (resource, amount) in item["default"] as JsonObject ?? []) item.Ensure("defaultRequest").Default(resource, amount!.DeepClone());
            foreach (var (resource, amount) in item["min"] as JsonObject ?? []) item.Ensure("defaultRequest").Default(resource, amount!.DeepClone());
        }
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        foreach (var (i, item) in Json.Objects(o.At("spec", "limits")).Index())
        {
            var (path, type) = ($"spec.limits[{i}]", Json.Text(item["type"]));
            if (type == "Pod")
                foreach (var field in (string[])["default", "defaultRequest"])
                    if (item[field] is JsonObject { Count: > 0 })
                        yield return FieldError.Forbidden($"{path}.{field}", "may not be specified when `type` is 'Pod'");
            if (type == "PersistentVolumeClaim" && item.At("min", "storage") is null && item.At("max", "storage") is null)
                yield return FieldError.Required($"{path}.limits", "either minimum or maximum storage value is required, but neither was provided");
            foreach (var (field, lower, said, upper, of) in Order)
                foreach (var (resource, amount) in item[lower] as JsonObject ?? [])
                    if (item.At(upper, resource) is { } most && Quantity.Nanos($"{amount}") > Quantity.Nanos($"{most}"))
                        yield return FieldError.Invalid($"{path}.{field}[{resource}]", $"{item.At(field, resource)}",
                            $"{said} value {amount} is greater than {of} value {most}");
            foreach (var (resource, ratio) in item["maxLimitRequestRatio"] as JsonObject ?? [])
                if (Quantity.Nanos($"{ratio}") < 1_000_000_000)
                    yield return FieldError.Invalid($"{path}.maxLimitRequestRatio[{resource}]", $"{ratio}", $"ratio {ratio} is less than 1");
        }
    }

    /// <summary>Which amount must not be greater than which other one, and the field that is told.</summary>
    private static readonly (string Field, string Lower, string Said, string Upper, string Of)[] Order =
    [
        ("min", "min", "min", "max", "max"), ("defaultRequest", "min", "min", "defaultRequest", "default request"),
        ("defaultRequest", "defaultRequest", "default request", "max", "max"),
        ("defaultRequest", "defaultRequest", "default request", "default", "default limit"),
        ("default", "min", "min", "default", "default"), ("default", "default", "default", "max", "max"),
    ];
}

internal sealed class AutoscalerStrategy : ObjectStrategy
{
    public override void Default(JsonObject o)
    {
        var spec = o.Ensure("spec");
        spec.Default("minReplicas", 1);
        if (Json.Text(o["apiVersion"]) == "autoscaling/v1" || spec["metrics"] is not null) return;
        spec["metrics"] = new JsonArray(new JsonObject
        {
            ["type"] = "Resource",
            ["resource"] = new JsonObject
            {
                ["name"] = "cpu",
                ["target"] = new JsonObject { ["type"] = "Utilization", ["averageUtilization"] = 80 },
            },
        });
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var spec = o["spec"];
        if (Json.Whole(spec.At("maxReplicas")) is null or < 1)
            yield return FieldError.Invalid("spec.maxReplicas", Json.Whole(spec.At("maxReplicas")) ?? 0, "must be greater than 0");
        else if (Json.Whole(spec.At("maxReplicas")) < Json.Whole(spec.At("minReplicas")))
            yield return FieldError.Invalid("spec.maxReplicas", Json.Whole(spec.At("maxReplicas")), "must be greater than or equal to `minReplicas`");
        foreach (var field in (string[])["kind", "name"])
            foreach (var error in Check.Required($"spec.scaleTargetRef.{field}", spec.At("scaleTargetRef", field))) yield return error;
    }

    protected override JsonObject InitialStatus(JsonObject o) => new() { ["desiredReplicas"] = 0, ["currentMetrics"] = null };
}

internal sealed class VolumeClaimStrategy : ObjectStrategy
{
    public override bool DeleteReturnsObject => true;

    public override void Default(JsonObject o) => o.Ensure("spec").Default("volumeMode", "Filesystem");

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        if (Json.Texts(o.At("spec", "accessModes")).IsEmpty) yield return FieldError.Required("spec.accessModes", "at least 1 access mode is required");
        if (o.At("spec", "resources", "requests", "storage") is null) yield return FieldError.Required("spec.resources[storage]");
    }

    protected override JsonObject InitialStatus(JsonObject o) => new() { ["phase"] = "Pending" };
}

internal sealed class VolumeStrategy(TimeProvider time) : ObjectStrategy
{
    public override bool DeleteReturnsObject => true;

    public override void Default(JsonObject o)
    {
        var spec = o.Ensure("spec");
        spec.Default("persistentVolumeReclaimPolicy", "Retain");
        spec.Default("volumeMode", "Filesystem");
        if (spec["hostPath"] is JsonObject host) host.Default("type", "");
    }

    protected override JsonObject InitialStatus(JsonObject o) =>
        new() { ["phase"] = "Pending", ["lastPhaseTransitionTime"] = ApiTime.Seconds(time.GetUtcNow()) };
}

internal sealed class StorageClassStrategy : ObjectStrategy
{
    public override void Default(JsonObject o)
    {
        o.Default("reclaimPolicy", "Delete");
        o.Default("volumeBindingMode", "Immediate");
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context) => Check.Required("provisioner", o["provisioner"]);
}
