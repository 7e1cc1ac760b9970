using System.Text.Json.Nodes;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;

namespace Isthmus.Operate.Install.Render;

/// <summary>How the Pods of a component run: its values, and over them the <c>k8s</c> part of the component.</summary>
internal sealed class WorkloadSettings
{
    private static readonly string[] PodFields = ["affinity", "nodeSelector", "priorityClassName", "tolerations", "topologySpreadConstraints",
        "securityContext"];
    private static readonly string[] ContainerFields = ["resources", "readinessProbe", "imagePullPolicy"];
    private static readonly string[] ValueFields = ["affinity", "nodeSelector", "priorityClassName", "tolerations", "topologySpreadConstraints", "resources",
        "podAnnotations", "serviceAnnotations", "replicaCount"];

    private readonly JsonObject _settings = [];

    /// <param name="values"><c>values.pilot</c>, or the values of a gateway.</param>
    /// <param name="k8s">The <c>k8s</c> part of the component.</param>
    internal WorkloadSettings(OperatorSpec spec, JsonObject values, JsonObject? k8s)
    {
        if (Given(spec.Value("global", "priorityClassName")) is { } priority) _settings["priorityClassName"] = priority;
        foreach (var field in ValueFields)
        {
            if (Given(values[field]) is { } value) _settings[field] = value;
        }
        if (Given(values["rollingMaxSurge"]) is { } || Given(values["rollingMaxUnavailable"]) is { }) _settings["strategy"] = Rolling(values);
        if ((bool?)values["autoscaleEnabled"] ?? false) _settings["hpaSpec"] = Autoscaling(values);
        if ((bool?)spec.Value("global", "defaultPodDisruptionBudget", "enabled") ?? false)
            _settings["podDisruptionBudget"] = new JsonObject { ["minAvailable"] = 1 };
        if (Given(values["podDisruptionBudget"]) is { } budget) _settings["podDisruptionBudget"] = budget;
        foreach (var (field, value) in k8s ?? [])
        {
            if (field is "podAnnotations" or "serviceAnnotations" && value is JsonObject more && _settings[field] is JsonObject known)
                Overlay.Merge(known, more);
            else if (value is not null) _settings[field] = value.DeepClone();
        }
    }

    /// <summary>None with an autoscaler: installing again must not undo its decision.</summary>
    internal JsonNode? Replicas => _settings["hpaSpec"] is null ? _settings["replicaCount"]?.DeepClone() ?? 1 : null;

    internal JsonNode Strategy => _settings["strategy"]?.DeepClone() ?? Rolling([]);

    internal JsonObject? ServiceAnnotations => Given(_settings["serviceAnnotations"]) as JsonObject;

    /// <summary>The autoscaler and the disruption budget of a Deployment, if they are set.</summary>
    internal IEnumerable<JsonObject> Scaling(JsonObject deployment)
    {
        var (name, ns) = (deployment["metadata"]!["name"]!.ToString(), deployment["metadata"]!["namespace"]!.ToString());
        JsonObject Beside(string apiVersion, string kind, JsonObject spec)
        {
            var made = Object(apiVersion, kind, name, ns, (JsonObject)deployment["metadata"]!["labels"]!.DeepClone());
            made["spec"] = spec;
            return made;
        }
        if (_settings["hpaSpec"] is JsonObject autoscaler)
        {
            var spec = (JsonObject)autoscaler.DeepClone();
            spec["scaleTargetRef"] ??= new JsonObject { ["apiVersion"] = "apps/v1", ["kind"] = "Deployment", ["name"] = name };
            yield return Beside("autoscaling/v2", "HorizontalPodAutoscaler", spec);
        }
        if (_settings["podDisruptionBudget"] is JsonObject budget)
        {
            var spec = (JsonObject)budget.DeepClone();
            spec["selector"] ??= deployment["spec"]!["selector"]!.DeepClone();
            yield return Beside("policy/v1", "PodDisruptionBudget", spec);
        }
    }

    internal void Apply(JsonObject pod, JsonObject metadata)
    {
        var container = (JsonObject)pod["containers"]![0]!;
        foreach (var field in PodFields)
        {
            if (_settings[field] is { } value) pod[field] = value.DeepClone();
        }
        foreach (var field in ContainerFields)
        {
            if (_settings[field] is { } value) container[field] = value.DeepClone();
        }
        foreach (var (name, value) in _settings["podAnnotations"] as JsonObject ?? [])
        {
            (metadata["annotations"] as JsonObject ?? (JsonObject)(metadata["annotations"] = new JsonObject())!)[name] = value?.DeepClone();
        }
        Append(pod, "volumes", _settings["volumes"] as JsonArray);
        Append(container, "volumeMounts", _settings["volumeMounts"] as JsonArray);
    }

    private static JsonObject Rolling(JsonObject values) => new()
    {
        ["rollingUpdate"] = new JsonObject
        {
            ["maxSurge"] = Given(values["rollingMaxSurge"]) ?? "100%", ["maxUnavailable"] = Given(values["rollingMaxUnavailable"]) ?? "25%"
        },
    };

    private static JsonObject Autoscaling(JsonObject values)
    {
        var metrics = new JsonArray(Metric("cpu", values["cpu"]?["targetAverageUtilization"]?.DeepClone() ?? 80));
        if (values["memory"]?["targetAverageUtilization"] is { } memory) metrics.Add((JsonNode)Metric("memory", memory.DeepClone()));
        var spec = new JsonObject
        {
            ["minReplicas"] = values["autoscaleMin"]?.DeepClone() ?? 1,
            ["maxReplicas"] = values["autoscaleMax"]?.DeepClone() ?? 5,
            ["metrics"] = metrics,
        };
        if (Given(values["autoscaleBehavior"]) is { } behavior) spec["behavior"] = behavior;
        return spec;
    }

    private static JsonObject Metric(string name, JsonNode target) => new()
    {
        ["type"] = "Resource",
        ["resource"] = new JsonObject { ["name"] = name, ["target"] = new JsonObject { ["type"] = "Utilization", ["averageUtilization"] = target } },
    };

    /// <summary>A copy of a value that is set: the empty ones of Istio's charts mean their defaults.</summary>
    private static JsonNode? Given(JsonNode? value) => value switch
    {
        null or JsonObject { Count: 0 } or JsonArray { Count: 0 } => null,
        JsonValue text when text.ToString().Length == 0 => null,
        _ => value.DeepClone(),
    };

    private static void Append(JsonObject owner, string field, JsonArray? items)
    {
        if (items is null) return;
        var list = owner[field] as JsonArray ?? (JsonArray)(owner[field] = new JsonArray())!;
        foreach (var item in items) list.Add(item?.DeepClone());
    }
}
