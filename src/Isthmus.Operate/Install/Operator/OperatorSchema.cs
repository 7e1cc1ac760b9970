using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Install.Operator;

/// <summary>The fields of an IstioOperator spec (Istio 1.20, IstioOperator options). Values are free, as in Istio.</summary>
internal static class OperatorSchema
{
    private static readonly HashSet<string> Spec =
        [.. "profile revision hub tag namespace meshConfig components values addonComponents unvalidatedValues installPackagePath resourceSuffix defaultRevision".Split(' ')];

    private static readonly HashSet<string> Components = [.. "base pilot cni istiodRemote ztunnel ingressGateways egressGateways".Split(' ')];

    private static readonly HashSet<string> Component = [.. "enabled namespace hub tag spec k8s".Split(' ')];

    private static readonly HashSet<string> Gateway = [.. "enabled namespace name label hub tag k8s".Split(' ')];

    private static readonly HashSet<string> K8s =
        [.. ("affinity env hpaSpec imagePullPolicy nodeSelector podAnnotations podDisruptionBudget priorityClassName readinessProbe replicaCount resources "
            + "scaleTargetRef service serviceAnnotations strategy tolerations securityContext volumes volumeMounts overlays").Split(' ')];

    internal static IEnumerable<Problem> Check(JsonObject spec)
    {
        foreach (var problem in Unknown(spec, Spec, "spec")) yield return problem;
        foreach (var field in (string[])["components", "meshConfig", "values"])
        {
            if (spec[field] is { } node and not JsonObject) yield return new("ISM0202", "", $"spec.{field}", $"'{node}' should be a mapping", "indent its fields below the name");
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
        foreach (var problem in Unknown(component, fields, path)) yield return problem;
        if (component["enabled"] is { } enabled && enabled.GetValueKind() is not (System.Text.Json.JsonValueKind.True or System.Text.Json.JsonValueKind.False))
            yield return new("ISM0203", "", $"{path}.enabled", $"'{enabled}' is not true or false", "write true or false, without quotes");
        if (component["k8s"] is JsonObject k8s)
        {
            foreach (var problem in Unknown(k8s, K8s, $"{path}.k8s")) yield return problem;
        }
    }

    private static IEnumerable<Problem> Unknown(JsonObject node, HashSet<string> fields, string path) =>
        from field in node
        where !fields.Contains(field.Key)
        select new Problem("ISM0204", "", $"{path}.{field.Key}", $"unknown field \"{field.Key}\" in {path}", Remedy(field.Key, fields));

    private static string Remedy(string field, HashSet<string> fields)
    {
        var near = fields.FirstOrDefault(known => string.Equals(known, field, StringComparison.OrdinalIgnoreCase) || known.StartsWith(field, StringComparison.OrdinalIgnoreCase));
        return near is not null ? $"did you mean \"{near}\"?" : $"fields are: {string.Join(", ", fields.Order(StringComparer.Ordinal))}";
    }
}
