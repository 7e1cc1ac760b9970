using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose;

/// <summary>Pods of applications with the labels of a gateway: its Service leads a part of its calls to them. Pure.</summary>
public static class GatewayStrangers
{
    public const string Code = "ISM1556";

    /// <summary>What is wrong with the first of such Pods; null where all are gateways, or none is.</summary>
    public static Problem? Of(Service service, IReadOnlyList<Pod> behind)
    {
        if (behind.FirstOrDefault(IsGateway) is not { } gateway
            || behind.Where(pod => IsStranger(pod) && pod.Status.IsReady && IsCalled(service, pod)).MinBy(pod => pod.Metadata.Name, StringComparer.Ordinal)
                is not { } stranger) return null;
        var labels = string.Join(',', service.Spec.Selector.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}={label.Value}"));
        return new(Code, $"Pod {stranger.Key}", service.Spec.Selector.Count == 1 ? $"metadata.labels[{service.Spec.Selector.Keys.First()}]" : "metadata.labels",
            $"has {labels}, by which Service {service.Key} selects it beside its gateway, Pod {gateway.Key}: the Pod is no gateway, and calls that come to "
                + "it fail",
            $"remove {(service.Spec.Selector.Count == 1 ? "the label" : "one of these labels")} from the Pod's template, or let the Service select by a label "
                + "that only the gateway has");
    }

    /// <summary>Whether a Pod is a gateway by what its proxy was started as.</summary>
    public static bool IsGateway(Pod pod) => ProxyOf(pod)?.Args.Contains("router") == true;

    /// <summary>Whether it is none: it has no proxy, or that of an application. Of others, nobody knows.</summary>
    public static bool IsStranger(Pod pod) => ProxyOf(pod) is not { } proxy || proxy.Args.Contains("sidecar");

    /// <summary>Whether the Pod is an endpoint of the Service: it must have every port that the Service refers to by name.</summary>
    private static bool IsCalled(Service service, Pod pod) => service.Spec.Ports.Exists(port => port.TargetPort?.ToString() is not { Length: > 0 } name
        || int.TryParse(name, out _) || pod.Spec.Containers.Exists(container => container.Ports.Exists(own => own.Name == name)));

    private static Container? ProxyOf(Pod pod) =>
        pod.Spec.Containers.Concat(pod.Spec.InitContainers).FirstOrDefault(container => container.Name == "istio-proxy");
}
