using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>A Pod of which a container is not started, because a Secret or ConfigMap that its environment or a volume names does not exist, or lacks a
/// key; or a claim of a volume.</summary>
internal static partial class AbsentReference
{
    /// <param name="like">Who else is in the same state; empty when nobody is.</param>
    public static Problem? Of(ClusterObjects cluster, Pod pod, string like)
    {
        foreach (var status in pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses))
        {
            if (status.State.Waiting?.Message is not { Length: > 0 } said || Missing().Match(said) is not { Success: true } missing) continue;
            var (kind, ns) = (missing.Groups[1].Value.Equals("secret", StringComparison.OrdinalIgnoreCase) ? "Secret" : "ConfigMap", pod.Metadata.Namespace);
            var (name, key) = (missing.Groups[2].Value, missing.Groups[3].Value);
            var (workload, owner) = ServicePods.OwnerOf(pod);
            return Faults.Of("ISM2047", $"{kind} {ns}/{name} in {cluster.Context}", key.Length > 0 ? $"data[{key}]" : "",
                $"{(key.Length > 0 ? "does not exist" : "does not exist in this cluster")}, and container {status.Name} of {workload} {ns}/{owner} is not "
                    + $"started without it: Pod {pod.Metadata.Name} is not ready{like} ({PodText.Message(said)})",
                key.Length > 0 ? "add the key, or name another one in the container's env"
                    : $"create it in namespace {ns} of {cluster.Context}; if another cluster of the mesh has it, copy it from there: kubectl --context=OTHER "
                        + $"-n {ns} get {kind.ToLowerInvariant()} {name} -o yaml | kubectl --context={cluster.Context} apply -f -");
        }
        return OfVolume(cluster, pod, like);
    }

    /// <summary>A volume that cannot be mounted, which only events tell.</summary>
    private static Problem? OfVolume(ClusterObjects cluster, Pod pod, string like)
    {
        var said = cluster.FailedCheck(pod) ?? "";
        if (ServicePods.HasRun(pod) || Unmounted().Match(said) is not { Success: true } found) return null;
        var (ns, volume, kind, name) = (pod.Metadata.Namespace, pod.Spec.Volumes.FindIndex(one => one.Name == found.Groups["volume"].Value),
            found.Groups["kind"].Value, found.Groups["name"].Value);
        if (name.Length == 0 && volume >= 0)
            name = pod.Spec.Volumes[volume].ConfigMap?.Name ?? pod.Spec.Volumes[volume].Secret?.SecretName ?? "";
        if (name.Length == 0) return null;
        var type = kind switch { "secret" => "Secret", "configmap" => "ConfigMap", _ => "PersistentVolumeClaim" };
        var (workload, owner) = ServicePods.OwnerOf(pod);
        var key = found.Groups["key"].Value;
        var annotation = OfAnnotation(cluster, pod, found.Groups["volume"].Value);
        var field = annotation.Length > 0 ? annotation : Field(cluster, pod, found.Groups["volume"].Value);
        return Faults.Of("ISM2047", $"{type} {ns}/{name} in {cluster.Context}", key.Length > 0 ? $"data[{key}]" : "",
            $"does not exist{(key.Length > 0 ? "" : " in this cluster")}, and {field} of {workload} {ns}/{owner} names it: no container of Pod "
                + $"{pod.Metadata.Name} is started without it, so that it is not ready{like} ({PodText.Message(said)})",
            key.Length > 0 ? "add the key, or correct items of the volume"
                : annotation.Length > 0
                ? $"create it in namespace {ns} of {cluster.Context}, name another one in the annotation, or remove that and its userVolumeMount"
                : $"create it in namespace {ns} of {cluster.Context}, or correct the volume; if another cluster of the mesh has it, copy it from there: "
                    + $"kubectl --context=OTHER -n {ns} get {type.ToLowerInvariant()} {name} -o yaml | kubectl --context={cluster.Context} apply -f -");
    }

    /// <summary>The annotation that lets injection add a volume, as a field; empty where the Pod's template has the volume.</summary>
    private static string OfAnnotation(ClusterObjects cluster, Pod pod, string volume)
    {
        var (kind, name) = ServicePods.OwnerOf(pod);
        if (kind != "Pod" && cluster.Template(kind, pod.Metadata.Namespace, name)?.Spec.Volumes.Exists(one => one.Name == volume) == true) return "";
        try
        {
            var added = StrictJson.Parse(pod.Metadata.Annotations.GetValueOrDefault(Annotations.UserVolume) is { Length: > 0 } text ? text : "{}") switch
            {
                JsonArray list => list.Select(one => (one as JsonObject)?["name"]?.ToString()),
                JsonObject map => map.Select(one => one.Key),
                _ => [],
            };
            return !added.Contains(volume, StringComparer.Ordinal) ? ""
                : $"volume {volume} of {(kind == "Pod" ? "" : "spec.template.")}metadata.annotations[{Annotations.UserVolume}]";
        }
        catch (JsonException)
        {
            return "";
        }
    }

    /// <summary>Where a volume is written. Injection may put its own before those of the template.</summary>
    private static string Field(ClusterObjects cluster, Pod pod, string volume)
    {
        var (kind, name) = ServicePods.OwnerOf(pod);
        var volumes = cluster.Template(kind, pod.Metadata.Namespace, name)?.Spec.Volumes;
        var at = (volumes ?? pod.Spec.Volumes).FindIndex(one => one.Name == volume);
        return at < 0 ? $"volume {volume}" : $"{(kind == "Pod" ? "spec" : "spec.template.spec")}.volumes[{at}]";
    }

    /// <summary>As kubelets say it: <c>MountVolume.SetUp failed for volume "conf" : configmap "conf" not found</c>, and of a key that is missing.</summary>
    [GeneratedRegex("^MountVolume.SetUp failed for volume \"(?<volume>[^\"]+)\" ?: .*?"
        + "(?:(?<kind>secret|configmap|persistentvolumeclaim) \"(?<name>[^\"]+)\" not found|(?<kind>secret|configmap) references non-existent "
        + "(?:(?:config|secret) )?key: (?<key>[^ ]+))")]
    private static partial Regex Unmounted();

    /// <summary>As kubelets say it: <c>secret "db" not found</c>, and <c>couldn't find key password in Secret shop/db</c>.</summary>
    [GeneratedRegex("^(?:(secret|configmap) \"([^\"]+)\" not found|couldn't find key (?<3>[^ ]+) in (?<1>Secret|ConfigMap) [^/ ]+/(?<2>[^ ]+))$")]
    private static partial Regex Missing();
}
