using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Install.Operator;

/// <summary>The fields of an IstioOperator spec (Istio 1.31, IstioOperator options). Values are free, as in Istio.</summary>
internal static partial class OperatorSchema
{
    private static readonly HashSet<string> Spec =
        ["profile", "revision", "hub", "tag", "namespace", "meshConfig", "components", "values", "addonComponents", "unvalidatedValues", "installPackagePath",
            "resourceSuffix", "defaultRevision"];

    private static readonly HashSet<string> Components = [.. "base pilot cni istiodRemote ztunnel ingressGateways egressGateways".Split(' ')];

    private static readonly HashSet<string> Component = [.. "enabled namespace hub tag spec k8s".Split(' ')];

    private static readonly HashSet<string> Gateway = [.. "enabled namespace name label hub tag k8s".Split(' ')];

    private const string NoAmbient = "remove it: proxies are sidecars and gateways; there is no ambient mode";

    private static readonly HashSet<string> K8s =
        [.. ("affinity env hpaSpec imagePullPolicy nodeSelector overlays podAnnotations podDisruptionBudget priorityClassName readinessProbe replicaCount "
            + "resources scaleTargetRef "
            + "service serviceAnnotations strategy tolerations topologySpreadConstraints securityContext volumes volumeMounts").Split(' ')];

    /// <summary>Fields of Istio that have no effect here, and what to do instead. Of the same name elsewhere, they may have one.</summary>
    private static readonly (string Path, string Remedy)[] Unsupported =
    [
        ("spec.namespace", "set values.global.istioNamespace"),
        ("spec.unvalidatedValues", "set values"),
        ("spec.installPackagePath", "remove it: the manifests are built in"),
        ("spec.resourceSuffix", "set revision"),
        ("spec.defaultRevision", "set values.defaultRevision"),
        ("spec.components.*.spec", "remove it"),
        ("spec.components.*.k8s.scaleTargetRef", "remove it: an autoscaler scales the Deployment of its component"),
        ("spec.components.cni.k8s.replicaCount", "remove it: a DaemonSet has a Pod on each node"),
        ("spec.components.cni.k8s.hpaSpec", "remove it: a DaemonSet has a Pod on each node"),
        ("spec.components.cni.k8s.podDisruptionBudget", "remove it: evictions leave Pods of a DaemonSet alone"),
        ("spec.components.cni.k8s.service", "remove it: the agent has no Service"),
        ("spec.components.cni.k8s.serviceAnnotations", "remove it: the agent has no Service"),
        ("spec.components.cni.k8s.strategy", "set values.cni.rollingMaxUnavailable"),
        ("spec.components.pilot.namespace", "set values.global.istioNamespace"),
        ("spec.components.ingressGateways.hub", "set spec.hub, or the annotation sidecar.istio.io/proxyImage of its Pods: injection sets the image"),
        ("spec.components.ingressGateways.tag", "set spec.tag, or the annotation sidecar.istio.io/proxyImage of its Pods: injection sets the image"),
        ("spec.components.egressGateways.hub", "set spec.hub, or the annotation sidecar.istio.io/proxyImage of its Pods: injection sets the image"),
        ("spec.components.egressGateways.tag", "set spec.tag, or the annotation sidecar.istio.io/proxyImage of its Pods: injection sets the image"),
        .. from component in (string[])["base", "istiodRemote"]
           from field in (string[])["namespace", "hub", "tag", "k8s"]
           select ($"spec.components.{component}.{field}", "remove it: the component has no Pods"),
        .. from field in Component select ($"spec.components.ztunnel.{field}", NoAmbient),
    ];

    /// <summary>The fields that are declared, below <c>spec</c>.</summary>
    internal static IEnumerable<(string Path, FieldEffect Effect)> Fields =>
        from path in Spec.Except(["components", "values", "addonComponents"]).Concat(Components.SelectMany(FieldsOf))
            .Append("addonComponents.istiocoredns.enabled")
        select (path, WithoutEffect($"spec.{path}") is null ? FieldEffect.Works : FieldEffect.Refused);

    private static IEnumerable<string> FieldsOf(string component)
    {
        var isList = component.EndsWith("Gateways", StringComparison.Ordinal);
        return (isList ? Gateway : Component).Select(name => $"components.{component}{(isList ? "[]" : "")}.{name}")
            .SelectMany(path => path.EndsWith(".k8s", StringComparison.Ordinal) && WithoutEffect($"spec.{path}") is null
                ? K8s.Select(inner => $"{path}.{inner}")
                : [path]);
    }

    internal static IEnumerable<Problem> Check(JsonObject spec)
    {
        foreach (var problem in Unknown(spec, Spec, "spec")) yield return problem;
        foreach (var field in (string[])["components", "meshConfig", "values"])
        {
            if (spec[field] is { } node and not JsonObject)
                yield return new("ISM0202", "", $"spec.{field}", $"'{node}' should be a mapping", "indent its fields below the name");
        }
        foreach (var (name, value) in spec["addonComponents"] as JsonObject ?? [])
        {
            if (value is JsonObject addon && name != "istiocoredns" && addon["enabled"]?.GetValueKind() == JsonValueKind.True)
                yield return new("ISM0207", "", $"spec.addonComponents.{name}", "has no effect here", $"remove it, and apply the objects of {name} yourself");
        }
        if (spec["components"] is not JsonObject components) yield break;
        foreach (var problem in Unknown(components, Components, "spec.components")) yield return problem;
        foreach (var (name, value) in components)
        {
            var path = $"spec.components.{name}";
            if (name is "ingressGateways" or "egressGateways")
            {
                if (value is not (null or JsonArray)) yield return new("ISM0202", "", path, "should be a list of gateways", "begin each with '- name:'");
                var index = 0;
                foreach (var gateway in value as JsonArray ?? [])
                {
                    foreach (var problem in One(gateway, Gateway, $"{path}[{index}]")) yield return problem;
                    if (gateway is JsonObject fields && fields["name"]?.ToString() is null or "")
                        yield return new("ISM0201", "", $"{path}[{index}].name", "is required", "name the gateway, for example istio-eastwestgateway");
                    index++;
                }
            }
            else
            {
                foreach (var problem in One(value, Component, path)) yield return problem;
            }
        }
    }

    private static IEnumerable<Problem> One(JsonNode? node, HashSet<string> fields, string path)
    {
        if (node is not JsonObject component)
        {
            yield return new("ISM0202", "", path, "should be a mapping", "indent its fields below the name");
            yield break;
        }
        // Istio's own profiles say that ztunnel is off.
        if (path == "spec.components.ztunnel" && component["enabled"]?.GetValueKind() == JsonValueKind.False) yield break;
        foreach (var problem in Unknown(component, fields, path)) yield return problem;
        if (component["enabled"] is { } enabled && enabled.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False))
            yield return new("ISM0203", "", $"{path}.enabled", $"'{enabled}' is not true or false", "write true or false, without quotes");
        if (component["k8s"] is JsonObject k8s)
        {
            foreach (var problem in Unknown(k8s, K8s, $"{path}.k8s")) yield return problem;
        }
    }

    private static IEnumerable<Problem> Unknown(JsonObject node, HashSet<string> fields, string path) =>
        from field in node
        let unsupported = field.Value is null ? null : WithoutEffect($"{path}.{field.Key}")
        where unsupported is not null || !fields.Contains(field.Key)
        select unsupported is not null
            ? new Problem("ISM0207", "", $"{path}.{field.Key}", "has no effect here", unsupported)
            : new Problem("ISM0204", "", $"{path}.{field.Key}", $"unknown field \"{field.Key}\" in {path}", Remedy(field.Key, fields));

    /// <summary>What to do instead of setting a field; null for a field that is not listed.</summary>
    private static string? WithoutEffect(string path)
    {
        var plain = Item().Replace(path, "");
        return Unsupported.FirstOrDefault(known => known.Path == plain
            || (known.Path.Contains('*', StringComparison.Ordinal) && known.Path == ComponentName().Replace(plain, "spec.components.*."))).Remedy;
    }

    private static string Remedy(string field, HashSet<string> fields)
    {
        var near = fields.FirstOrDefault(known => string.Equals(known, field, StringComparison.OrdinalIgnoreCase)
            || known.StartsWith(field, StringComparison.OrdinalIgnoreCase));
        return near is not null ? $"did you mean \"{near}\"?" : $"fields are: {string.Join(", ", fields.Order(StringComparer.Ordinal))}";
    }

    [GeneratedRegex(@"\[\d*\]")]
    private static partial Regex Item();

    [GeneratedRegex(@"^spec\.components\.\w+\.")]
    private static partial Regex ComponentName();
}
