using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Namespaces and Pods without sidecars, and labels that contradict each other or those of other clusters. Pure.</summary>
public static class InjectionLabels
{
    public static Analyzer Analyzer
    {
        get;
    } = new("injection.Analyzer", "Checks that namespaces have one injection label, the same in all clusters, and that their Pods have sidecars",
        [IstioCodes.NamespaceNotInjected, IstioCodes.InjectedByDefault, IstioCodes.PodMissingProxy, IstioCodes.MultipleInjectionLabels,
            OwnCodes.InjectionDiffers, OwnCodes.InjectionMistyped], ["Namespace", "Pod"],
        mesh => mesh.Workloads.Where(HasMesh).SelectMany(area => Check(mesh, area)));

    /// <summary>Istio's label for ambient mode.</summary>
    internal const string Mode = "istio.io/dataplane-mode";

    private const string Ambient = "ambient";

    /// <summary>Whether Pods that are created in a namespace get sidecars, unless they say otherwise; null if neither the namespace nor the mesh says
    /// it.</summary>
    internal static bool? IsInjected(ClusterInventory cluster, Namespace ns) =>
        InjectorWebhook.Asks(ns) ?? (cluster.InjectsByDefault && !DefaultInjection.Exempt.Contains(ns.Metadata.Name) ? true : null);

    /// <summary>What a Pod says about its injection; null if it says nothing.</summary>
    internal static bool? Asks(IReadOnlyDictionary<string, string> labels, IReadOnlyDictionary<string, string> annotations) =>
        (labels.GetValueOrDefault(Labels.Inject) ?? annotations.GetValueOrDefault(Labels.Inject)) is { } asked
            ? asked == "true"
            : labels.ContainsKey(Labels.Revision)
            ? true
            : null;

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ClusterWorkloads area)
    {
        foreach (var ns in area.Cluster.Namespaces.Where(ns => !MeshSnapshot.IsSystem(area.Cluster, ns.Metadata.Name)))
        {
            var (name, labels) = (ns.Metadata.Name, ns.Metadata.Labels);
            // A namespace that is kept out of the mesh may have labels for the day when it joins.
            if (((string[])[Labels.Injection, Labels.Revision, Mode]).Where(labels.ContainsKey).ToList() is { Count: > 1 } several
                && labels.GetValueOrDefault(Labels.Injection, "enabled") == "enabled")
                yield return IstioCodes.MultipleInjectionLabels.At(area.Cluster, $"Namespace {name}", "metadata.labels",
                    $"has {string.Join(" and ", several.Select(label => $"{label}={labels[label]}"))}: {several[0]} decides, and the rest has no effect");
            if (labels.TryGetValue(Labels.Injection, out var told) && told is not ("enabled" or "disabled"))
                yield return OwnCodes.InjectionMistyped.At(area.Cluster, $"Namespace {name}", $"metadata.labels[{Labels.Injection}]",
                    $"is \"{told}\", which has the effect of disabled: Pods that are created in the namespace get no sidecars",
                    $"kubectl --context={area.Cluster.Context} label namespace {name} {Labels.Injection}=enabled --overwrite, and restart its workloads; or "
                        + "=disabled, if that is intended");
            var bare = area.In(name)
                .Where(workload => workload is { Pod: { Spec.HostNetwork: false }, HasProxy: false }
                    && Asks(workload.Labels, workload.Pod.Metadata.Annotations) != false
                    && !workload.Pod.Metadata.Annotations.ContainsKey("kubernetes.io/config.mirror"))
                .ToList();
            var injected = IsInjected(area.Cluster, ns);
            if (injected == true && InjectorWebhook.Asks(ns) is null && labels.GetValueOrDefault(Mode) != Ambient)
                yield return IstioCodes.InjectedByDefault.At(area.Cluster, $"Namespace {name}", "metadata.labels",
                    "has no injection label, and its Pods get sidecars: the mesh is installed with enableNamespacesByDefault",
                    $"if its Pods are to have none: kubectl --context={area.Cluster.Context} label namespace {name} {Labels.Injection}=disabled");
            if (injected == true || bare.Exists(AsksForProxy))
            {
                var selectors = area.Cluster.Objects("MutatingWebhookConfiguration").SelectMany(InjectionSelectors.Read).ToList();
                var served = RevisionLabels.Served(area.Cluster);
                foreach (var pod in bare.Where(pod => injected == true || AsksForProxy(pod)))
                {
                    if (Revision(pod, labels) is { Length: > 0 } revision && served.Count > 0 && !served.Contains(revision))
                    {
                        yield return IstioCodes.PodMissingProxy.At(area.Cluster, pod.Name, "",
                            $"is to have a sidecar, and has none: it asks for revision {revision}, which does not exist in {area.Cluster.Context}",
                            $"set {Labels.Revision} to {string.Join(" or ", served)}, or make a tag: isthmus tag set {revision} --revision {served.Min}; "
                                + "then restart the workload");
                        continue;
                    }
                    if (area.Cluster.LacksInjector)
                    {
                        yield return IstioCodes.PodMissingProxy.At(area.Cluster, pod.Name, "",
                            $"is to have a sidecar, and has none: no MutatingWebhookConfiguration of {area.Cluster.Context} injects Pods",
                            InjectorWebhook.Again(area.Cluster.Context));
                        continue;
                    }
                    if (area.Cluster.StoppedInjector is { } stopped)
                    {
                        yield return IstioCodes.PodMissingProxy.At(area.Cluster, pod.Name, "",
                            $"is to have a sidecar, and has none: nothing answers the webhook that injects Pods, because {stopped.StoppedField} of Deployment "
                                + $"{stopped.Deployment.Key} is 0",
                            $"start the control plane first: {stopped.Start(area.Cluster.Context)}; then restart the workload");
                        continue;
                    }
                    var unmet = InjectionSelectors.Unmet(selectors, name, labels, pod.Labels);
                    yield return IstioCodes.PodMissingProxy.At(area.Cluster, pod.Name, "", "is to have a sidecar, and has none: it is not part of the mesh"
                        + (unmet is null ? "" : $"; {unmet.Webhook} demands {unmet.Term}"),
                        unmet is null ? null : "remove that from the selector, or set the label, and restart the workload");
                }
            }
            else if (injected is null && bare.Find(pod => pod.Pod!.Metadata.Annotations.GetValueOrDefault(Labels.Inject) == "true") is { } annotated)
            {
                yield return IstioCodes.PodMissingProxy.At(area.Cluster, annotated.Name, $"metadata.annotations[{Labels.Inject}]",
                    $"is true, and the Pod has no sidecar: only the label of this name asks for one in a namespace that is not injected, as {name} is",
                    $"set the label {Labels.Inject}: \"true\" in the Pod's template, or kubectl --context={area.Cluster.Context} label namespace {name} "
                        + $"{Labels.Injection}=enabled and restart the workload");
            }
            else if (injected is null && bare.Count == 0)
            {
                // All of its Pods may have said themselves what they want, and every cluster has a namespace "default", used or not.
                if (name != "default" && !area.In(name).Any() && labels.GetValueOrDefault(Mode) != Ambient)
                    yield return IstioCodes.NamespaceNotInjected.At(area.Cluster, $"Namespace {name}", "metadata.labels",
                        "has no injection label: Pods that are created in it get no sidecars", Labelled(area, name));
            }
            else if (injected is null)
            {
                yield return Elsewhere(mesh, area, name) is { } other
                    ? OwnCodes.InjectionDiffers.At(area.Cluster, $"Namespace {name}", "metadata.labels",
                        $"has no injection label in {area.Cluster.Context}, but in {other.Context}: {Counted.Of(bare.Count, "Pod")}, for "
                            + $"example {bare[0].Name}, ha{(bare.Count == 1 ? "s" : "ve")} no sidecar, and callers of other networks never reach "
                            + $"{(bare.Count == 1 ? "it" : "them")}",
                        $"kubectl --context={area.Cluster.Context} label namespace {name} {Labels.Injection}=enabled; then restart the workloads")
                    : IstioCodes.NamespaceNotInjected.At(area.Cluster, $"Namespace {name}", "metadata.labels",
                        "has no injection label, so its Pods have no sidecars", Labelled(area, name));
            }
        }
    }

    private static string Labelled(ClusterWorkloads area, string name) =>
        $"kubectl --context={area.Cluster.Context} label namespace {name} {Labels.Injection}=enabled; or =disabled, if that is intended";

    /// <summary>The revision that a Pod asks for, itself or by its namespace; null: none.</summary>
    private static string? Revision(Workload pod, Dictionary<string, string> ofNamespace) =>
        pod.Labels.GetValueOrDefault(Labels.Revision) ?? (ofNamespace.ContainsKey(Labels.Injection) ? null : ofNamespace.GetValueOrDefault(Labels.Revision));

    /// <summary>Webhooks do not see annotations.</summary>
    private static bool AsksForProxy(Workload workload) => Asks(workload.Labels, NoAnnotations) == true;

    private static readonly Dictionary<string, string> NoAnnotations = [];

    private static ClusterInventory? Elsewhere(MeshSnapshot mesh, ClusterWorkloads area, string name) =>
        mesh.Readable.FirstOrDefault(other => other != area.Cluster && other.Namespaces.Any(ns => ns.Metadata.Name == name && IsInjected(other, ns) == true));

    /// <summary>A cluster without a mesh needs no labels.</summary>
    private static bool HasMesh(ClusterWorkloads area) =>
        area.Cluster.Namespaces.Any(ns => ns.Metadata.Name == area.Cluster.SystemNamespace)
            || area.All.Any(workload => workload is { Pod: not null, HasProxy: true });
}
