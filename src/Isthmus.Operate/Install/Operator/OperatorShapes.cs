using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Injection;

namespace Isthmus.Operate.Install.Operator;

/// <summary>The expected types of the spec fields that are checked here. Other fields are copied into objects, which the API server checks.</summary>
internal static partial class OperatorShapes
{
    private enum Shape
    {
        Mapping, List, Text, Number, Flag, LabelValue, Revision, PullPolicy, ServiceType, TrafficPolicy, Range, ObjectName, Hub, Tag, Authority, ServicePlace,
        ResourceScope,
    }

    /// <summary>Paths below <c>spec</c>; <c>*</c> is every key of a mapping or every item of a list.</summary>
    private static readonly List<(string Path, Shape Shape)> Shapes = [.. Build()];

    /// <summary>The fields whose types are checked, below <c>spec</c>.</summary>
    internal static IEnumerable<string> Paths => Shapes.Select(known => known.Path);

    internal static IEnumerable<Problem> Check(JsonObject spec) =>
        Shapes.SelectMany(known => Find(spec, known.Path.Split('.'), 0, "spec").SelectMany(found => Wrong(found.Node, known.Shape) is { } wrong
            ? new Problem[] { new("ISM0206", "", found.Path, wrong.Message, wrong.Remedy) } : [])).Concat(PortsWithoutNumber(spec)).Concat(Unchained(spec))
            .Concat(HostsWithoutCertificate(spec)).Concat(BadTemplates(spec));

    private static IEnumerable<(string Path, Shape Shape)> Build()
    {
        IEnumerable<(string, Shape)> All(Shape shape, string paths, string below = "") => paths.Split(' ').Select(path => (below + path, shape));
        return
        [
            .. ValuesSchema.Mappings.Select(path => (path, Shape.Mapping)),
            .. All(Shape.Mapping, "values.pilot.env values.global.meshNetworks values.global.proxy.resources meshConfig.defaultConfig"),
            .. All(Shape.Hub, "hub values.global.hub"),
            .. All(Shape.Tag, "tag values.global.tag"),
            .. All(Shape.PullPolicy, "values.global.imagePullPolicy"),
            .. All(Shape.Text,
                "profile namespace values.pilot.image values.pilot.env.* values.istiodRemote.injectionPath values.istiodRemote.injectionURL "
                    + "values.base.validationURL meshConfig.trustDomain"),
            .. All(Shape.Text,
                "meshID istioNamespace remotePilotAddress jwtPolicy pilotCertProvider multiCluster.clusterName multiCluster.globalDomainSuffix "
                    + "proxy.clusterDomain logging.level",
                "values.global."),
            .. All(Shape.Number, "values.global.proxy.statusPort"),
            .. All(Shape.LabelValue, "values.global.network"),
            .. All(Shape.Revision, "revision"),
            .. All(Shape.Flag,
                "configCluster externalIstiod omitSidecarInjectorConfigMap operatorManageWebhooks configValidation multiCluster.enabled "
                    + "multiCluster.includeEnvoyFilter",
                "values.global."),
            .. All(Shape.Flag, "values.istiocoredns.enabled addonComponents.istiocoredns.enabled"),
            .. All(Shape.List, "values.gateways.*.ports values.global.imagePullSecrets"),
            .. All(Shape.ObjectName, "values.global.imagePullSecrets.*"),
            .. All(Shape.Number, "values.istiocoredns.replicaCount values.gateways.*.ports.*.port values.gateways.*.ports.*.targetPort"),
            .. All(Shape.Mapping, "values.gateways.*.ports.*"),
            .. ((string[])["values.pilot.", "values.gateways.*."]).SelectMany(values => (List<(string, Shape)>)
            [
                .. All(Shape.Flag, "autoscaleEnabled", values),
                .. All(Shape.Number, "replicaCount autoscaleMin autoscaleMax cpu.targetAverageUtilization memory.targetAverageUtilization", values),
                .. All(Shape.Mapping, "affinity nodeSelector podAnnotations serviceAnnotations resources autoscaleBehavior cpu memory", values),
                .. All(Shape.List, "tolerations topologySpreadConstraints", values),
                .. All(Shape.Text, "priorityClassName rollingMaxSurge rollingMaxUnavailable podAnnotations.* serviceAnnotations.* nodeSelector.*", values),
            ]),
            .. All(Shape.Mapping, "values.pilot.podDisruptionBudget"),
            .. All(Shape.List, "loadBalancerSourceRanges externalIPs", "values.gateways.*."),
            .. All(Shape.Text, "loadBalancerIP", "values.gateways.*."),
            .. All(Shape.ServiceType, "type", "values.gateways.*."),
            .. All(Shape.TrafficPolicy, "externalTrafficPolicy", "values.gateways.*."),
            .. All(Shape.Range, "loadBalancerSourceRanges.*", "values.gateways.*."),
            .. All(Shape.Flag,
                "values.istio_cni.enabled values.istio_cni.chained values.pilot.cni.enabled values.cni.chained values.cni.repair.enabled "
                    + "values.cni.repair.labelPods values.cni.repair.deletePods values.cni.repair.repairPods"),
            .. All(Shape.Text,
                "cniBinDir cniConfDir cniConfFileName hub image logging.level pullPolicy rollingMaxUnavailable tag excludeNamespaces.* podAnnotations.*",
                "values.cni."),
            .. All(Shape.List, "values.cni.excludeNamespaces"),
            .. All(Shape.Mapping, "affinity podAnnotations resources", "values.cni."),
            .. All(Shape.Flag, "values.console.enabled values.base.enableGatewayAPICRDs"),
            .. All(Shape.Text, "image priorityClassName podAnnotations.* serviceAnnotations.* nodeSelector.*", "values.console."),
            .. All(Shape.ObjectName, "values.console.credentialName"),
            .. All(Shape.Authority, "values.console.hosts.*"),
            .. All(Shape.ServicePlace, "values.console.prometheus"),
            .. All(Shape.List, "values.console.hosts values.console.tolerations"),
            .. All(Shape.Mapping, "affinity nodeSelector podAnnotations serviceAnnotations resources", "values.console."),
            .. All(Shape.Mapping, "values.gateways.*.env"),
            .. All(Shape.Text, "values.gateways.*.env.* values.global.priorityClassName"),
            .. All(Shape.Flag, "values.global.defaultPodDisruptionBudget.enabled values.global.networkPolicy.enabled"),
            .. All(Shape.ResourceScope, "values.global.resourceScope"),
            .. ((string[])["ingressGateways.*", "egressGateways.*"]).SelectMany(gateway => (List<(string, Shape)>)
            [
                .. All(Shape.ObjectName, "name", $"components.{gateway}."), .. All(Shape.Mapping, "label", $"components.{gateway}."),
                .. All(Shape.Text, "label.*", $"components.{gateway}."),
            ]),
            .. ((string[])["pilot", "cni", "ingressGateways.*", "egressGateways.*"]).SelectMany(workload => (List<(string, Shape)>)
            [
                .. All(Shape.List, "k8s.env k8s.volumes k8s.volumeMounts k8s.service.ports k8s.overlays k8s.tolerations k8s.topologySpreadConstraints",
                    $"components.{workload}."),
                .. All(Shape.List, "k8s.overlays.*.patches", $"components.{workload}."),
                .. All(Shape.Text, "k8s.overlays.*.kind k8s.overlays.*.name k8s.overlays.*.patches.*.path", $"components.{workload}."),
                .. All(Shape.ObjectName, "namespace", $"components.{workload}."),
                .. All(Shape.Hub, "hub", $"components.{workload}."),
                .. All(Shape.Tag, "tag", $"components.{workload}."),
                .. All(Shape.PullPolicy, "k8s.imagePullPolicy", $"components.{workload}."),
                .. All(Shape.ServiceType, "k8s.service.type", $"components.{workload}."),
                .. All(Shape.TrafficPolicy, "k8s.service.externalTrafficPolicy", $"components.{workload}."),
                .. All(Shape.Range, "k8s.service.loadBalancerSourceRanges.*", $"components.{workload}."),
                .. All(Shape.Text, "k8s.podAnnotations.* k8s.priorityClassName", $"components.{workload}."),
                .. All(Shape.Mapping,
                    "k8s k8s.service k8s.podAnnotations k8s.serviceAnnotations k8s.affinity k8s.nodeSelector k8s.resources k8s.strategy k8s.hpaSpec "
                        + "k8s.podDisruptionBudget k8s.service.ports.* k8s.env.* k8s.volumes.* k8s.volumeMounts.* k8s.overlays.* k8s.overlays.*.patches.*",
                    $"components.{workload}."),
                .. All(Shape.Number, "k8s.replicaCount k8s.service.ports.*.port k8s.service.ports.*.targetPort", $"components.{workload}."),
            ]),
        ];
    }

    private static IEnumerable<(JsonNode Node, string Path)> Find(JsonNode node, string[] steps, int at, string path)
    {
        if (at == steps.Length) return [(node, path)];
        return (node, steps[at]) switch
        {
            (JsonObject map, "*") => map.Where(field => field.Value is not null).SelectMany(field => Find(field.Value!, steps, at + 1, $"{path}.{field.Key}")),
            (JsonArray list, "*") => list.SelectMany((item, index) => item is null ? [] : Find(item, steps, at + 1, $"{path}[{index}]")),
            (JsonObject map, var step) when map[step] is { } value => Find(value, steps, at + 1, $"{path}.{step}"),
            _ => [],
        };
    }

    private static (string Message, string Remedy)? Wrong(JsonNode node, Shape shape) => shape switch
    {
        Shape.Mapping when node is not JsonObject => ($"{Shown(node)} should be a mapping", "indent its fields below the name"),
        Shape.List when node is not JsonArray => ($"{Shown(node)} should be a list", "begin each item with '- '"),
        not (Shape.Mapping or Shape.List or Shape.Number or Shape.Flag) when node is not JsonValue => ("should be text, not a list or mapping",
            "write it behind the name"),
        Shape.Number when node is not JsonValue number || !number.TryGetValue(out int count) || count < 0 => ($"{Shown(node)} is not a whole number",
            "write one such as 2, without quotes"),
        Shape.Flag when node.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False) => ($"{Shown(node)} is not true or false",
            "write true or false, without quotes"),
        Shape.LabelValue when !LabelValue().IsMatch(node.ToString()) => ($"{Shown(node)} cannot be a label of namespaces and Pods",
            "use at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"),
        Shape.Revision when !Revision().IsMatch(node.ToString()) => ($"{Shown(node)} cannot be part of the names of objects",
            "use lower-case letters, digits and '-', beginning and ending with a letter or digit"),
        // An empty value counts as none.
        > Shape.Revision when node.ToString() is { Length: > 0 } text => WrongText(text, shape),
        _ => null,
    };

    /// <summary>What an API server would refuse halfway through an installation.</summary>
    private static (string Message, string Remedy)? WrongText(string text, Shape shape) => shape switch
    {
        Shape.PullPolicy => OneOf(text, "Always", "IfNotPresent", "Never"),
        Shape.ServiceType => OneOf(text, "LoadBalancer", "NodePort", "ClusterIP"),
        Shape.ResourceScope => OneOf(text, "all", "cluster", "namespace"),
        Shape.TrafficPolicy => OneOf(text, "Cluster", "Local"),
        Shape.Range when !IPNetwork.TryParse(text.Trim(), out _) => ($"'{text}' is not a range of addresses", "for example 192.0.2.0/24"),
        Shape.ObjectName when !ObjectName().IsMatch(text) => ($"'{text}' is not the name of an object",
            "use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"),
        Shape.Hub when !Hub().IsMatch(text) => ($"'{text}' is not the beginning of an image's name",
            "for example registry.example.com/team, without http:// and without a '/' at the end"),
        Shape.Authority when !Authority().IsMatch(text) => ($"'{text}' is not the name of a host",
            "write it as browsers send it, for example console.example.com or console.example.com:8443"),
        // The console would read at an address what a viewer may not see.
        Shape.ServicePlace when text != "none" && !ServicePlace().IsMatch(text) => ($"'{text}' is not a Service",
            "write NAMESPACE/NAME or NAMESPACE/NAME:PORT, or 'none': viewers read it with their own rights, through the API server, so it is no URL"),
        Shape.Tag when !Tag().IsMatch(text) => ($"'{text}' is not an image's tag", "use at most 128 letters, digits, '.', '_' and '-'"),
        _ => null,
    };

    private static (string Message, string Remedy)? OneOf(string text, params string[] values) =>
        values.Contains(text) ? null : ($"unsupported value '{text}'", $"use {string.Join(", ", values[..^1])} or {values[^1]}");

    private static IEnumerable<Problem> PortsWithoutNumber(JsonObject spec) =>
        from list in (string[])["components.ingressGateways.*.k8s.service.ports.*", "components.egressGateways.*.k8s.service.ports.*",
            "values.gateways.*.ports.*"]
        from port in Find(spec, list.Split('.'), 0, "spec")
        where port.Node is JsonObject fields && fields["port"] is null
        select new Problem("ISM0201", "", $"{port.Path}.port", "is required", "set the port number");

    private static IEnumerable<Problem> Unchained(JsonObject spec) =>
        from path in (string[])["values.cni.chained", "values.istio_cni.chained"]
        from found in Find(spec, path.Split('.'), 0, "spec")
        where found.Node.GetValueKind() == JsonValueKind.False
        select new Problem("ISM0207", "", found.Path,
            "false is not supported: the plug-in runs in the chain of the node's network, not as a network of its own (Multus)", "remove it");

    /// <summary>Tokens of viewers never cross a network in plain text.</summary>
    private static IEnumerable<Problem> HostsWithoutCertificate(JsonObject spec) =>
        spec["values"] is JsonObject values && values["console"] is JsonObject console && console["hosts"] is JsonArray { Count: > 0 }
            && console["credentialName"]?.ToString() is null or ""
            ? [new Problem("ISM0201", "", "spec.values.console.credentialName", "is required with values.console.hosts: the console is served over TLS only",
                "name a Secret of type kubernetes.io/tls in the namespace of the control plane")]
            : [];

    private static IEnumerable<Problem> BadTemplates(JsonObject spec)
    {
        if (spec["values"] is not JsonObject values) return [];
        try
        {
            InjectionTemplates.Read(values);
            return [];
        }
        catch (ProblemException e)
        {
            return [e.Problem with { Code = "ISM0206", Path = $"spec.{e.Problem.Path}" }];
        }
    }

    private static string Shown(JsonNode node) => node is JsonValue ? $"'{node}'" : node is JsonArray ? "a list" : "a mapping";

    [GeneratedRegex(@"^(?=.{0,63}$)([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
    private static partial Regex LabelValue();

    [GeneratedRegex(@"^[A-Za-z0-9]([A-Za-z0-9._-]|:[0-9]|/(?=[A-Za-z0-9]))*$")]
    private static partial Regex Hub();

    [GeneratedRegex(@"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?(:[0-9]{1,5})?$")]
    private static partial Regex ServicePlace();

    [GeneratedRegex(@"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
    private static partial Regex Tag();

    [GeneratedRegex(@"^(?=.{0,253}(:|$))[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$")]
    private static partial Regex Authority();

    [GeneratedRegex(@"^(?=.{0,253}$)[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    private static partial Regex ObjectName();

    [GeneratedRegex(@"^(?=.{0,50}$)([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")]
    private static partial Regex Revision();
}
