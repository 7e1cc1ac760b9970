using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Injecting;

/// <summary>Adds the proxy to the workloads of manifests, by the same function as the injection webhook.</summary>
/// <param name="path">The cluster and network that the webhook of the cluster names.</param>
/// <param name="configs">The ProxyConfigs of the mesh.</param>
public sealed class ManifestInjection(InjectorValues values, InjectionPath path, NativeSidecars natives, IReadOnlyList<ProxyConfig> configs)
{
    /// <summary>Where a kind has the Pod that it makes others from.</summary>
    private static readonly Dictionary<string, string[]> Templates = new(StringComparer.Ordinal)
    {
        ["Deployment"] = ["spec", "template"], ["ReplicaSet"] = ["spec", "template"], ["StatefulSet"] = ["spec", "template"],
        ["DaemonSet"] = ["spec", "template"],
        ["ReplicationController"] = ["spec", "template"], ["Job"] = ["spec", "template"], ["CronJob"] = ["spec", "jobTemplate", "spec", "template"],
        ["Pod"] = [],
        ["DeploymentConfig"] = ["spec", "template"], ["Rollout"] = ["spec", "template"], ["PodTemplate"] = ["template"],
    };

    /// <summary>The object with the proxy in its Pod; the object itself when it has no Pod, or one that gets no proxy.</summary>
    /// <param name="ns">The namespace of objects that do not have one.</param>
    /// <param name="warnings">Gets what has no effect, and which workloads stay as they are.</param>
    /// <exception cref="ProblemException">An annotation is not valid.</exception>
    public JsonObject Inject(JsonObject value, string ns, List<string> warnings)
    {
        if (value["items"] is JsonArray items && value["kind"]?.ToString().EndsWith("List", StringComparison.Ordinal) == true)
        {
            var list = (JsonObject)value.DeepClone();
            list["items"] = new JsonArray([.. items.Select(item => item is JsonObject one ? Inject(one, ns, warnings).DeepClone() : item?.DeepClone())]);
            return list;
        }
        if (!Templates.TryGetValue(value["kind"]?.ToString() ?? "", out var steps))
        {
            if (Below(value, "spec", "template", "spec")?["containers"] is JsonArray)
            {
                warnings.Add($"{NameOf(value)} gets no sidecar here: kube-inject does not know its kind; label the namespace or its Pods for the webhook");
            }
            return value;
        }
        var injected = (JsonObject)value.DeepClone();
        JsonObject? parent = null;
        var pod = injected;
        foreach (var step in steps)
            (parent, pod) = (pod,
                pod[step] as JsonObject ?? throw new ProblemException(NameOf(value), $"has no {string.Join('.', steps)}", "give a whole manifest"));
        ns = value["metadata"]?["namespace"]?.ToString() ?? ns;
        if (InjectPod(pod, ns, warnings, parent is null ? null : OwnerOf(value)) is not { } changed)
        {
            warnings.Add($"{NameOf(value)} gets no sidecar: it uses the host's network, its namespace is never injected, or sidecar.istio.io/inject is false");
            return value;
        }
        if (parent is null) return changed;
        parent[steps[^1]] = changed;
        return injected;
    }

    private static JsonObject? Below(JsonObject value, params ReadOnlySpan<string> steps)
    {
        var found = value;
        foreach (var step in steps) found = found?[step] as JsonObject;
        return found;
    }

    private static WorkloadOwner OwnerOf(JsonObject value) =>
        new(value["kind"]!.ToString(), value["apiVersion"]?.ToString() ?? "", value["metadata"]?["name"]?.ToString() ?? "");

    private JsonObject? InjectPod(JsonObject pod, string ns, List<string> warnings, WorkloadOwner? owner)
    {
        var labels = (pod["metadata"]?["labels"] as JsonObject ?? []).Select(label => KeyValuePair.Create(label.Key, label.Value?.ToString() ?? ""))
            .ToValueMap();
        var found = new List<string>();
        var injected = PodInjector.Inject(pod, ns, values.With(ProxyConfig.For(configs, values.RootNamespace, ns, labels)), path, natives, found, owner);
        if (injected is not null && natives.Notice(pod) is { } notice) found.Add(notice);
        warnings.AddRange(found);
        return injected;
    }

    private static string NameOf(JsonObject value) => $"{value["kind"]} {value["metadata"]?["name"] ?? value["metadata"]?["generateName"]}";
}
