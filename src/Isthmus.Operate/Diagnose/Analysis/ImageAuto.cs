using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Proxies with <c>image: auto</c> that no injector fills in: gateways whose injection is not asked for. Pure.</summary>
public static class ImageAuto
{
    private const string Auto = "auto";

    public static Analyzer Analyzer
    {
        get;
    } = new("injection.ImageAutoAnalyzer", "Checks that what has a container with image: auto is injected",
        [IstioCodes.ImageAutoOfTemplate, IstioCodes.ImageAutoOfPod], ["Namespace", "Pod"], mesh =>
        mesh.Workloads.SelectMany(area => area.Cluster.Templates.Where(template => HasAuto(template.Spec)
            && !IsInjected(area, template.Namespace, template.Labels, template.Annotations))
            .Select(template => IstioCodes.ImageAutoOfTemplate.At(area.Cluster, template.FullName, "spec.template.spec.containers",
                "has image: auto, but no injector matches its Pods, which cannot start"))
            .Concat(from workload in area.All
                    where workload.Pod is { } one && HasAuto(one.Spec)
                    let pod = workload.Pod!
                    let labels = area.Cluster.Namespaces.FirstOrDefault(ns => ns.Metadata.Name == pod.Metadata.Namespace)?.Metadata.Labels
                    let told = Uninjected(pod, area.Cluster.Context, labels ?? [])
                    select IstioCodes.ImageAutoOfPod.At(area.Cluster, workload.Name, "spec.containers", told.Why, told.Remedy))));

    /// <summary>Why no injector changed a Pod that has the image, and what to do.</summary>
    /// <param name="pod">The Pod.</param>
    /// <param name="context">Its cluster.</param>
    /// <param name="labels">Those of its namespace.</param>
    /// <param name="like">Who else is in the same state; empty when nobody is.</param>
    public static (string Why, string Remedy) Uninjected(Pod pod, string context, IReadOnlyDictionary<string, string> labels, string like = "")
    {
        const string again = "and create the Pod again";
        var why = $"has image: auto: no injector changed it, and it cannot start{like}";
        // Webhooks do not see annotations.
        var (ns, asks) = (pod.Metadata.Namespace, InjectionLabels.Asks(pod.Metadata.Labels, new Dictionary<string, string>()) == true);
        var label = $"kubectl --context={context} label namespace {ns} {Labels.Injection}";
        if (labels.TryGetValue(Labels.Injection, out var told) && told != "enabled")
            return ($"{why}; namespace {ns} has {Labels.Injection}={told}, which keeps injectors from its Pods{(asks ? ", whatever they ask for" : "")}",
                asks ? $"remove the label: {label}-, {again}: its own label then suffices" : $"{label}=enabled --overwrite, {again}");
        return asks || labels.ContainsKey(Labels.Injection) || labels.ContainsKey(Labels.Revision)
            ? ($"{why}, although {(asks ? "it" : $"namespace {ns}")} asks for injection",
                $"see that the webhook of the control plane injects Pods (isthmus verify, isthmus analyze), {again}")
            : (why, $"label the namespace or the Pod for injection ({label}=enabled), {again}");
    }

    /// <summary>Whether a container of the Pod has the image.</summary>
    public static bool HasAuto(PodSpec spec) => spec.Containers.Concat(spec.InitContainers).Any(container => container.Image == Auto);

    /// <summary>Whether it is that container that has the image.</summary>
    public static bool IsOf(PodSpec spec, string container) =>
        spec.Containers.Concat(spec.InitContainers).Any(one => one.Name == container && one.Image == Auto);

    private static bool IsInjected(ClusterWorkloads area, string name, IReadOnlyDictionary<string, string> labels,
        IReadOnlyDictionary<string, string> annotations)
    {
        var ns = area.Cluster.Namespaces.FirstOrDefault(ns => ns.Metadata.Name == name) is { } found ? InjectionLabels.IsInjected(area.Cluster, found) : null;
        return ns == false ? false : InjectionLabels.Asks(labels, annotations) ?? ns ?? false;
    }
}
