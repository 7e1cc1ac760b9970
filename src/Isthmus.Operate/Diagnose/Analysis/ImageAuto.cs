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
            .Concat(area.All.Where(workload => workload.Pod is not null && HasAuto(workload.Pod.Spec))
                .Select(workload => IstioCodes.ImageAutoOfPod.At(area.Cluster, workload.Name, "spec.containers",
                    "has image: auto: no injector changed it, and it cannot start")))));

    private static bool HasAuto(PodSpec spec) => spec.Containers.Concat(spec.InitContainers).Any(container => container.Image == Auto);

    private static bool IsInjected(ClusterWorkloads area, string name, IReadOnlyDictionary<string, string> labels,
        IReadOnlyDictionary<string, string> annotations)
    {
        var ns = area.Cluster.Namespaces.FirstOrDefault(ns => ns.Metadata.Name == name) is { } found ? InjectionLabels.IsInjected(area.Cluster, found) : null;
        return ns == false ? false : InjectionLabels.Asks(labels, annotations) ?? ns ?? false;
    }
}
