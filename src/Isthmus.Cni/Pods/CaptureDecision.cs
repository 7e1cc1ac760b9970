using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Cni.Pods;

/// <summary>Whether the agent captures the traffic of a Pod.</summary>
/// <param name="Flags">Of istio-iptables; null for no.</param>
/// <param name="Reason">Why not; empty for yes.</param>
internal sealed record CaptureDecision(IReadOnlyList<string>? Flags, IReadOnlyDictionary<string, string> Environment, string Reason)
{
    /// <summary>The init container that checks the rules: injection writes it in place of <c>istio-init</c>, with the same flags.</summary>
    internal const string Validation = "istio-validation";

    private const string OwnCapture = "istio-init", Proxy = "istio-proxy";

    private static readonly Dictionary<string, string> NoEnvironment = new(StringComparer.Ordinal);

    internal bool Captures => Flags is not null;

    internal static CaptureDecision Of(Pod pod, IReadOnlyCollection<string> excludedNamespaces)
    {
        if (pod.Spec.HostNetwork) return No("it uses the node's network");
        if (excludedNamespaces.Contains(pod.Metadata.Namespace)) return No($"namespace {pod.Metadata.Namespace} is excluded");
        if (pod.Spec.InitContainers.Exists(container => container.Name == OwnCapture)) return No($"its container {OwnCapture} does it");
        if (!pod.Spec.Containers.Concat(pod.Spec.InitContainers).Any(container => container.Name == Proxy)) return No($"it has no container {Proxy}");
        if (!pod.Metadata.Annotations.ContainsKey(Annotations.InjectionStatus)) return No($"it lacks the annotation {Annotations.InjectionStatus}");
        var inject = pod.Metadata.Labels.GetValueOrDefault(Labels.Inject) ?? pod.Metadata.Annotations.GetValueOrDefault(Labels.Inject);
        if (string.Equals(inject, "false", StringComparison.OrdinalIgnoreCase)) return No($"{Labels.Inject} is false");
        if (pod.Spec.InitContainers.Find(container => container.Name == Validation) is not { } validation)
            return No($"it has no container {Validation}: it was injected without the CNI node agent");
        return validation.Args is ["istio-iptables", .. var flags]
            ? new(flags,
                validation.Env.Where(variable => variable.Value is not null).GroupBy(variable => variable.Name)
                    .ToDictionary(group => group.Key, group => group.Last().Value ?? "", StringComparer.Ordinal),
                "")
            : No($"the arguments of its container {Validation} do not begin with istio-iptables");
    }

    private static CaptureDecision No(string reason) => new(null, NoEnvironment, reason);
}
