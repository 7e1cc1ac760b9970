using System.Text.Json.Nodes;

namespace Isthmus.Operate.Install.Render;

/// <summary>The <c>k8s</c> part of a component: settings of its Pods that are copied as they are.</summary>
internal static class WorkloadSettings
{
    private static readonly string[] PodFields = ["affinity", "nodeSelector", "priorityClassName", "tolerations", "securityContext"];
    private static readonly string[] ContainerFields = ["resources", "readinessProbe", "imagePullPolicy"];

    internal static void Apply(JsonObject pod, JsonObject metadata, JsonObject? k8s)
    {
        if (k8s is null) return;
        var container = (JsonObject)pod["containers"]![0]!;
        foreach (var field in PodFields)
        {
            if (k8s[field] is { } value) pod[field] = value.DeepClone();
        }
        foreach (var field in ContainerFields)
        {
            if (k8s[field] is { } value) container[field] = value.DeepClone();
        }
        foreach (var (name, value) in k8s["podAnnotations"] as JsonObject ?? [])
        {
            (metadata["annotations"] as JsonObject ?? (JsonObject)(metadata["annotations"] = new JsonObject())!)[name] = value?.DeepClone();
        }
        Append(pod, "volumes", k8s["volumes"] as JsonArray);
        Append(container, "volumeMounts", k8s["volumeMounts"] as JsonArray);
    }

    private static void Append(JsonObject owner, string field, JsonArray? items)
    {
        if (items is null) return;
        var list = owner[field] as JsonArray ?? (JsonArray)(owner[field] = new JsonArray())!;
        foreach (var item in items) list.Add(item?.DeepClone());
    }
}
