using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a name that is meant for one Pod (<c>POD.SERVICE.NAMESPACE</c>) has no address.</summary>
internal static class PodNames
{
    /// <summary>The cause; null when no Pod is meant, or the Pod has the name.</summary>
    public static Problem? Of(TraceFacts facts, TraceNeeds needs, MeshHost? host)
    {
        if (facts.Target.Host.Split('.') is not [var name, var service, .. var rest] || (host is not null && name == host.Name)) return null;
        var ns = host?.Namespace ?? (rest is [var told, ..] ? told : facts.Client.Namespace);
        needs.NeedPods(ns);
        var pods = facts.Clusters.SelectMany(cluster => cluster.Pods.Where(pod => pod.Metadata.Namespace == ns).Select(pod => (Cluster: cluster, Pod: pod)));
        var found = pods.FirstOrDefault(one => (one.Pod.Spec.Hostname.Length > 0 ? one.Pod.Spec.Hostname : one.Pod.Metadata.Name) == name);
        if (found.Pod is not { } pod) return Beyond(pods, name, service, ns);
        var (subdomain, context) = (pod.Spec.Subdomain, found.Cluster.Context);
        var exists = subdomain.Length > 0 && facts.Clusters.Any(cluster => cluster.Service(ns, subdomain) is not null);
        if (subdomain == service && exists) return NotHeadless(facts, host, found.Cluster, name) ?? NotReady(facts, host, found.Cluster, pod);
        var owner = SetOf(pod);
        var (says, kind) = (subdomain.Length == 0 ? "is not set" : $"is {subdomain}", owner.Length == 0 ? "Pod" : "StatefulSet");
        return Faults.Of("ISM2104", owner.Length == 0 ? $"Pod {pod.Key} in {context}" : $"StatefulSet {ns}/{owner} in {context}",
            owner.Length == 0 ? "spec.subdomain" : "spec.serviceName",
            exists ? $"{says}, so the name of Pod {name} is {name}.{subdomain}.{ns}, and not {name}.{service}"
                : $"{says}{(subdomain.Length == 0 ? "" : ", and no such Service exists")}, so Pod {name} has no name of its own",
            exists ? $"call {name}.{subdomain}.{ns}, or create the {kind} again with {service}"
                : host is null ? $"create a headless Service {(subdomain.Length > 0 ? subdomain : service)} (clusterIP: None) that selects the Pods"
                : $"create the {kind} again with {service}");
    }

    /// <summary>A Pod with the next numbers of a StatefulSet, which does not make so many; null for other names.</summary>
    private static Problem? Beyond(IEnumerable<(ClusterObjects Cluster, Pod Pod)> pods, string name, string service, string ns)
    {
        if (name.LastIndexOf('-') is not (> 0 and var dash) || !uint.TryParse(name[(dash + 1)..], CultureInfo.InvariantCulture, out var ordinal)) return null;
        var set = name[..dash];
        var others = pods.Where(one => SetOf(one.Pod) == set && one.Pod.Spec.Subdomain == service).ToList();
        if (others is not [var (cluster, _), ..]) return null;
        var made = others.Where(one => one.Cluster == cluster).Select(one => one.Pod.Metadata.Name).Order(StringComparer.Ordinal).ToList();
        return Faults.Of("ISM2104", $"StatefulSet {ns}/{set} in {cluster.Context}", "spec.replicas",
            $"makes {(made.Count > 1 ? $"the Pods {string.Join(", ", made)}" : $"Pod {made[0]} only")}, and no Pod {name}, so the name has no address",
            $"kubectl --context={cluster.Context} -n {ns} scale statefulset {set} --replicas={ordinal + 1L}; or call {made[0]}.{service}.{ns}");
    }

    /// <summary>Pods that are not ready have no names; null for those that are, or whose Service publishes their names all the same.</summary>
    private static Problem? NotReady(TraceFacts facts, MeshHost? host, ClusterObjects there, Pod pod) =>
        pod.Status.IsReady || host?.In(there) is { Service.Spec.PublishNotReadyAddresses: true } ? null : UnreadyPods.Of(there, pod, now: facts.Now);

    /// <summary>Pods have names only by a headless Service, and that of the caller's cluster is not one; null where it is.</summary>
    private static Problem? NotHeadless(TraceFacts facts, MeshHost? host, ClusterObjects there, string pod) =>
        host?.In(facts.Home) is not { Service.Spec.ClusterIP: not "None" } own || host.In(there) is not { Service.Spec.ClusterIP: "None" } ? null
            : Faults.Of("ISM2104", own.Name, "spec.clusterIP",
                $"is {own.Service.Spec.ClusterIP}, and None in {there.Context}, where Pod {pod} runs: only a headless Service gives names to its Pods, and "
                    + $"callers in {facts.Home.Context} follow their own Service",
                $"delete the Service in {facts.Home.Context}, and create it again with clusterIP: None, which cannot be changed");

    /// <summary>The StatefulSet that made a Pod; empty for others.</summary>
    private static string SetOf(Pod pod) =>
        pod.Metadata.OwnerReferences.FirstOrDefault(one => one is { Controller: true, Kind: "StatefulSet" })?.Name ?? "";
}
