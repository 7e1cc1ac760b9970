using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why the proxy of the caller does not answer its DNS queries, where something else than MeshConfig keeps it from doing so.</summary>
/// <param name="Object">What keeps it: the Pod, or a ProxyConfig.</param>
/// <param name="Because">What it does, as the begin of a sentence.</param>
internal sealed record Uncaptured(string Object, string Field, string Because, string Remedy)
{
    private const string Setting = "ISTIO_META_DNS_CAPTURE";

    /// <summary>What switches it on for all Pods that are injected.</summary>
    public const string InMesh = $"set {Setting}: \"true\" in meshConfig.defaultConfig.proxyMetadata";

    /// <summary>Null: nothing switches it on.</summary>
    public static Uncaptured? Of(TraceFacts facts)
    {
        var pod = facts.ClientPod;
        var map = facts.CapturingMap;
        if (InAnnotation(pod.Metadata.Annotations.GetValueOrDefault(Annotations.ProxyConfig, "")) is { } own)
        {
            var (kind, owner) = ServicePods.OwnerOf(pod);
            var place = kind == "Pod" ? "the Pod" : $"the template of {kind} {pod.Metadata.Namespace}/{owner}";
            return new(facts.Client.ToString(), $"metadata.annotations[{Annotations.ProxyConfig}]",
                $"sets {Setting} to {own}{(map is null ? "" : $", while {map} sets it to true")}",
                map is not null ? $"remove {Setting} from that annotation of {place}" : $"set {Setting} to \"true\" in that annotation of {place}");
        }
        if (OfTemplate(facts, pod) is { } template) return template;
        foreach (var config in ProxyConfig.For(facts.ConfigOf(facts.Home).Istio<ProxyConfig>(), facts.RootNamespace, pod.Metadata.Namespace,
            pod.Metadata.Labels.ToValueMap()).Reverse())
            if (config.Environment.GetValueOrDefault(Setting) is { Length: > 0 } value && !IsTrue(value))
                return new($"ProxyConfig {config.Namespace}/{config.Source.Name} in {facts.ConfigOf(facts.Home).Context}",
                    $"spec.environmentVariables[{Setting}]", $"sets {Setting} to {value} for the caller", "remove it there, and restart the caller's Pod");
        return map is null ? null : new(facts.Client.ToString(), "",
            $"has a proxy without DNS capture, which {map} sets ({Setting}): the Pod was made before that, or while its control plane could not read it",
            $"restart the Pod ({Sidecarless.Again(facts.Home, pod)})");
    }

    /// <summary>A variable that the template itself gives to the container of the proxy; null for others.</summary>
    private static Uncaptured? OfTemplate(TraceFacts facts, Pod pod)
    {
        var (kind, name) = ServicePods.OwnerOf(pod);
        var template = facts.Home.Deployments.FirstOrDefault(one => kind == "Deployment" && one.Metadata.Namespace == pod.Metadata.Namespace
            && one.Metadata.Name == name)?.Spec.Template["spec"];
        var value = (template?["containers"] as JsonArray ?? []).Concat(template?["initContainers"] as JsonArray ?? [])
            .Where(container => container?["name"]?.ToString() == "istio-proxy").SelectMany(container => container?["env"] as JsonArray ?? [])
            .FirstOrDefault(variable => variable?["name"]?.ToString() == Setting)?["value"]?.ToString();
        return value is null || IsTrue(value) ? null : new($"Deployment {pod.Metadata.Namespace}/{name} in {facts.Home.Context}",
            $"spec.template.spec.containers[istio-proxy].env[{Setting}]", $"is {value} for the caller", "remove it there");
    }

    /// <summary>What an annotation sets, if that is not true; null for others.</summary>
    private static string? InAnnotation(string config)
    {
        try
        {
            return config.Length > 0 && (YamlText.Parse(config, "annotation") as JsonObject)?["proxyMetadata"] is JsonObject set
                && set[Setting]?.ToString() is { } value && !IsTrue(value) ? value : null;
        }
        catch (ProblemException)
        {
            return null;
        }
    }

    private static bool IsTrue(string value) => bool.TryParse(value, out var on) && on;
}
