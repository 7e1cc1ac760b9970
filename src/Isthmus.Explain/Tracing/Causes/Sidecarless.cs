using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a Pod has no sidecar, and what gives it one.</summary>
/// <param name="Object">What keeps it from having one: the Pod itself, or its namespace.</param>
/// <param name="Field">The field of that object; empty where it is not about one that it has.</param>
/// <param name="Remedy">What gives it one.</param>
internal readonly record struct Sidecarless(string Object, string Field, string Remedy)
{
    /// <summary>What precedes what is said of the Pod: where the object is another one, why, and the Pod's name.</summary>
    public string Because { get; private init; } = "";

    private const string Label = $"metadata.labels[{Labels.Inject}]";

    public static Sidecarless Of(ClusterObjects cluster, Pod pod)
    {
        var (ns, name) = (pod.Metadata.Namespace, PodRef.Of(cluster, pod).ToString());
        if (pod.Spec.HostNetwork)
            return new(name, "spec.hostNetwork", OutOfNodeNetwork(cluster, pod));
        if (pod.Metadata.Labels.GetValueOrDefault(Labels.Inject) == "false")
            return new(name, Label,
                $"remove the label {Labels.Inject} from the Pod's template" + (cluster.Injects(ns) ? "" : $", and label {Enabled(cluster, ns)}"));
        if (cluster.LacksInjector && cluster.Injects(ns))
            return new($"cluster {cluster.Context}", "", InjectorWebhook.Again(cluster.Context))
            {
                Because = $"has no {MeshApi.MutatingWebhookConfiguration.Kind} that injects Pods: {name} ",
            };
        // A Pod that is made now is refused, or gets none either.
        if (cluster.Injects(ns) && cluster.StoppedInjector is { } stopped)
            return new($"Deployment {stopped.Deployment.Key} in {cluster.Context}", stopped.StoppedField,
                $"start the control plane first: {stopped.Start(cluster.Context)}; then restart the Pod: {Again(cluster, pod)}")
            {
                Because = $"is 0, so that nothing answers the webhook that injects Pods: {name} ",
            };
        if (cluster.Injects(ns) && cluster.UnmetBy(pod) is { } unmet)
            return new(name, "metadata.labels",
                $"{unmet.Webhook} in {cluster.Context} demands {unmet.Term} as well: remove that, or set the label, and restart the Pod");
        if (cluster.UnservedRevision(ns, out var served) is { } asked)
            return new(name, "", $"set {Labels.Revision} of namespace {ns} in {cluster.Context} to {RevisionLabels.Choice(served)} (it is {asked}, which no "
                + $"control plane there serves), or make a tag: isthmus tag set {asked} --revision REVISION --context={cluster.Context}; then restart the "
                + "Pod");
        if (cluster.LabelsOf(ns).GetValueOrDefault(Labels.Injection) is { } told and not ("enabled" or "disabled"))
            return new($"Namespace {ns} in {cluster.Context}", $"metadata.labels[{Labels.Injection}]",
                $"kubectl --context={cluster.Context} label namespace {ns} {Labels.Injection}=enabled --overwrite, and restart the Pod (or label the Pod "
                    + $"{Labels.Inject}=true)")
            {
                Because = $"is \"{told}\", which has the effect of disabled: {name} ",
            };
        return cluster.Injects(ns)
            ? new(name, "",
                $"restart the Pod: its namespace is injected, and it was made before that, or while no webhook injected it ({Again(cluster, pod)})")
            : new(name, "", $"label {Enabled(cluster, ns)} (or the Pod {Labels.Inject}=true) and restart the Pod");
    }

    /// <summary>What brings a Pod into a network of its own. A hostPort that stays in the template keeps the next Pod from the Node while this one is there;
    /// API servers before Kubernetes 1.28 added one to each port of a template with hostNetwork.</summary>
    private static string OutOfNodeNetwork(ClusterObjects cluster, Pod pod)
    {
        const string why = "a Pod in the network of its Node gets no sidecar";
        var (kind, owner) = ServicePods.OwnerOf(pod);
        var template = cluster.Template(kind, pod.Metadata.Namespace, owner)?.Spec;
        var holds = template?.Containers.Any(container => container.Ports.Any(port => port.HostPort is > 0)) == true;
        if (template is not { HostNetwork: false })
            return $"remove hostNetwork{(holds ? " and hostPort of its ports" : "")} from the Pod's template: {why}";
        return holds
            ? "remove hostPort of the ports, too, from the Pod's template, which has no hostNetwork any more: the next Pod waits for the port that this one has"
            : $"wait until the next Pod takes its place, or see why it does not: the Pod's template has no hostNetwork any more, and {why}";
    }

    /// <summary>How a Pod is made anew.</summary>
    internal static string Again(ClusterObjects cluster, Pod pod)
    {
        var (kind, owner) = ServicePods.OwnerOf(pod);
        var kubectl = $"kubectl --context={cluster.Context} -n {pod.Metadata.Namespace}";
        return kind switch
        {
            _ when MeshApi.IsWorkload(kind) => $"{kubectl} rollout restart {kind.ToLowerInvariant()}/{owner}",
            "Pod" => $"create {kind} {owner} again",
            _ => $"{kubectl} delete pod {pod.Metadata.Name}: its {kind} makes another one",
        };
    }

    private static string Enabled(ClusterObjects cluster, string ns) => $"namespace {ns} in {cluster.Context} {Labels.Injection}=enabled";
}
