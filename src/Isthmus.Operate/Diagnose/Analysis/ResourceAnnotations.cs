using System.Globalization;
using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Annotations of Istio in places where nothing reads them, unknown ones, and values that are not valid. Pure.</summary>
public static class ResourceAnnotations
{
    private const decimal Mebibyte = 1 << 20;

    private const string Traffic = "traffic.sidecar.istio.io/", Readiness = "readiness.status.sidecar.istio.io/";

    /// <summary>They have an effect, and a setting of their own.</summary>
    private static readonly string[] Replaced = ["sidecar.istio.io/statsInclusionPrefixes", "sidecar.istio.io/statsInclusionRegexps",
        "sidecar.istio.io/statsInclusionSuffixes"];

    private static readonly string[] Domains = ["sidecar.istio.io", "proxy.istio.io", "inject.istio.io", "networking.istio.io", "topology.istio.io",
        "traffic.istio.io"];

    /// <summary>Annotations that are not for Pods.</summary>
    private static readonly Dictionary<string, string[]> OfOthers = new(StringComparer.Ordinal)
    {
        [Annotations.ExportTo] = ["Service"], [Annotations.TrafficDistribution] = ["Service", "Namespace", "ServiceEntry"],
        [Annotations.NodeSelector] = ["Service"], [Annotations.ControlPlaneClusters] = ["Namespace"], [Annotations.ClusterName] = ["Secret"],
        [Annotations.GatewayWeight] = ["Service"], ["networking.istio.io/service-type"] = ["Gateway"], ["networking.istio.io/address-type"] = ["Gateway"],
        ["kubernetes.io/ingress.class"] = ["Ingress"],
    };

    /// <summary>Names that are read as labels only.</summary>
    private static readonly HashSet<string> AsLabels = new([Labels.GatewayPort, Labels.Network, Labels.Cluster, Labels.Subzone], StringComparer.Ordinal);

    private static readonly Dictionary<string, PodAnnotation> OfPods = PodAnnotations.All.ToDictionary(known => known.Name, StringComparer.Ordinal);

    public static Analyzer Analyzer { get; } = new("annotations.K8sAnalyzer",
        "Checks the annotations of Istio on Pods, workloads, Services, Namespaces and Gateways",
        [IstioCodes.MisplacedAnnotation, IstioCodes.UnknownAnnotation, IstioCodes.InvalidAnnotation, IstioCodes.DeprecatedAnnotation], [],
        mesh => mesh.Readable.SelectMany(Check));

    private static IEnumerable<Finding> Check(ClusterInventory cluster) =>
        cluster.Namespaces.SelectMany(ns => Check(cluster, "Namespace", $"Namespace {ns.Metadata.Name}", "", ns.Metadata.Annotations))
        .Concat(cluster.Services.SelectMany(service => Check(cluster, "Service", $"Service {service.Key}", "", service.Metadata.Annotations)))
        .Concat(WorkloadTemplate.Kinds
            .SelectMany(kind => cluster.Objects(kind.Name).SelectMany(value => Check(cluster, kind.Kind, ClusterInventory.NameOf(value), "", Texts(value)))))
        .Concat(cluster.Objects(MeshApi.ApiGateway.Name).SelectMany(gateway => CheckGateway(cluster, gateway)))
        .Concat(cluster.Templates.SelectMany(template => Check(cluster, "Pod", template.FullName, "spec.template.", template.Annotations)))
        // Other Pods have the annotations of their templates.
        .Concat(cluster.Pods.Where(pod => pod.Metadata.OwnerReferences.Count == 0)
            .SelectMany(pod => Check(cluster, "Pod", $"Pod {pod.Key}", "", pod.Metadata.Annotations)));

    /// <summary>The Pods of a Gateway get its annotations, but one: which templates they are injected with is not its choice.</summary>
    private static IEnumerable<Finding> CheckGateway(ClusterInventory cluster, System.Text.Json.Nodes.JsonObject gateway)
    {
        var infrastructure = gateway["spec"]?["infrastructure"]?["annotations"] as System.Text.Json.Nodes.JsonObject ?? [];
        foreach (var (path, value) in ((string, string?)[])
            [("metadata", Texts(gateway).FirstOrDefault(pair => pair.Key == Annotations.InjectTemplates).Value),
                ("spec.infrastructure", infrastructure[Annotations.InjectTemplates]?.ToString())])
            if (value is not null && value != InjectionTemplates.Gateway)
                yield return IstioCodes.MisplacedAnnotation.At(cluster, ClusterInventory.NameOf(gateway), $"{path}.annotations[{Annotations.InjectTemplates}]",
                    "has no effect on a Gateway: its Pods are always injected as gateways",
                    "remove it; a ConfigMap that spec.infrastructure.parametersRef names changes the Pods (docs/gateway-api.md)");
    }

    private static IEnumerable<KeyValuePair<string, string>> Texts(System.Text.Json.Nodes.JsonObject value) =>
        (value["metadata"]?["annotations"] as System.Text.Json.Nodes.JsonObject ?? [])
            .Select(pair => KeyValuePair.Create(pair.Key, pair.Value?.ToString() ?? ""));

    private static IEnumerable<Finding> Check(ClusterInventory cluster, string kind, string name, string prefix,
        IEnumerable<KeyValuePair<string, string>> annotations)
    {
        var all = annotations.ToDictionary(StringComparer.Ordinal);
        var refused = kind == "Pod" ? ProxyAmounts.Fault(all.GetValueOrDefault) : null;
        foreach (var (key, value) in all)
        {
            var path = $"{prefix}metadata.annotations[{key}]";
            if (OfPods.TryGetValue(key, out var known) && !key.StartsWith("prometheus.io/", StringComparison.Ordinal))
            {
                if (Replaced.Contains(key))
                    yield return IstioCodes.DeprecatedAnnotation.At(cluster, name, path, "is deprecated: Istio has replaced it",
                        "set proxyStatsMatcher in the annotation proxy.istio.io/config");
                if (kind != "Pod")
                    yield return IstioCodes.MisplacedAnnotation.At(cluster, name, path, $"has no effect on a {kind}: it is for Pods",
                        MeshApi.IsWorkload(kind)
                            ? "move it to spec.template.metadata.annotations"
                            : "remove it, or move it to the Pods");
                // Others write it on Pods that they capture.
                else if (key == "ambient.istio.io/redirection") continue;
                else if (known.Effect != FieldEffect.Works)
                    yield return IstioCodes.DeprecatedAnnotation.At(cluster, name, path,
                        known.Effect == FieldEffect.Refused ? "is not supported: the injector refuses the Pod" : "has no effect", known.Remedy);
                else if (refused is var (annotation, _, reason) && annotation == key)
                    yield return IstioCodes.InvalidAnnotation.At(cluster, name, path, $"\"{value}\" {reason}: the injector refuses the Pod",
                        $"correct {path}, or remove it");
                else if (WhyInvalid(key, value) is { } why) yield return IstioCodes.InvalidAnnotation.At(cluster, name, path, $"\"{value}\" {why}");
            }
            else if (OfOthers.TryGetValue(key, out var owners))
            {
                if (owners.Contains(kind) && key == Annotations.TrafficDistribution && !TrafficDistributions.IsKnown(value))
                {
                    yield return IstioCodes.InvalidAnnotation.At(cluster, name, path, $"\"{value}\" is not {TrafficDistributions.Known}");
                }
                if (!owners.Contains(kind))
                    yield return IstioCodes.MisplacedAnnotation.At(cluster, name, path,
                        $"has no effect on a {kind}: it is for a resource of kind {string.Join(" or ", owners)}", "remove it, or move it");
            }
            else if (Domains.Any(domain => key.StartsWith($"{domain}/", StringComparison.Ordinal) || key.Contains($".{domain}/", StringComparison.Ordinal)))
            {
                if (AsLabels.Contains(key))
                    yield return IstioCodes.UnknownAnnotation.At(cluster, name, path, "is a label of the mesh, and has no effect as an annotation",
                        $"write it under {path.Split("annotations[")[0]}labels, and remove it here");
                else yield return IstioCodes.UnknownAnnotation.At(cluster, name, path, "is not an annotation of the mesh, and has no effect",
                    Spelling.Nearest(key, OfPods.Keys.Concat(OfOthers.Keys)) is { } near ? $"did you mean \"{near}\"?" : null);
            }
        }
    }

    private static string? WhyInvalid(string key, string value) => key switch
    {
        Labels.Inject => bool.TryParse(value, out _) ? null : "is neither true nor false",
        "sidecar.istio.io/interceptionMode" => value is "REDIRECT" or "NONE" ? null : "is not REDIRECT or NONE: the injector refuses the Pod",
        "sidecar.istio.io/rewriteAppHTTPProbers" or "prometheus.istio.io/merge-metrics" => bool.TryParse(value, out _) ? null
            : "is neither true nor false: the injector refuses the Pod",
        "sidecar.istio.io/nativeSidecar" => bool.TryParse(value, out _) ? null : "is neither true nor false",
        "sidecar.istio.io/logLevel" => LogLevels.Contains(value.ToLowerInvariant()) || value is "warn" or "fatal" or "none" ? null
            : $"is not one of {string.Join(", ", LogLevels)}: the proxy does not start",
        "sidecar.istio.io/proxyMemory" or "sidecar.istio.io/proxyMemoryLimit" => Quantity.Read(value) is > 0 and < Mebibyte
            ? $"is less than a mebibyte: {(value.EndsWith('m') ? "m is a thousandth, so write" : "write")} {value.TrimEnd('m')}Mi" : null,
        "status.sidecar.istio.io/port" => IsPort(value) ? null : "is not a port",
        _ when key.StartsWith(Readiness, StringComparison.Ordinal) => uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _)
            ? null
            : "is not a number",
        _ when key.StartsWith(Traffic, StringComparison.Ordinal)
            && key.EndsWith("Ports", StringComparison.Ordinal) => Parts(value).All(part => part == "*" || IsPort(part))
            ? null
            : "is not a list of ports, separated by commas",
        _ when key.StartsWith(Traffic, StringComparison.Ordinal)
            && key.EndsWith("IPRanges", StringComparison.Ordinal) => Parts(value).All(part => part == "*" || IPNetwork.TryParse(part, out _))
            ? null
            : "is not a list of CIDR ranges, separated by commas",
        _ => null,
    };

    private static readonly string[] LogLevels = ["trace", "debug", "info", "warning", "error", "critical", "off"];

    private static string[] Parts(string value) => value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static bool IsPort(string part) => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536;
}
