using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;

namespace Isthmus.WebConsole.Reading;

/// <summary>What was read of one cluster. With an error in <see cref="Facts"/>, the lists are empty.</summary>
internal sealed partial record ClusterState(ClusterAccess Access, ClusterFacts Facts, IReadOnlyList<Service> Services, IReadOnlyList<EndpointSlice> Slices,
    IReadOnlyList<Pod> Pods)
{
    public string Context => Access.Name;

    /// <summary>What the user may not read there, one line for each kind; empty when nothing is missing.</summary>
    public IReadOnlyList<string> Withheld { get; init; } = [];

    /// <summary>Whether the control planes have not been asked yet.</summary>
    public bool IsPart { get; init; }

    /// <summary>Why the mesh cannot be verified there: what the user may not read of it; empty when it can.</summary>
    public string Unverified { get; init; } = "";

    /// <summary>The name that proxies and control planes use; the context when none is known.</summary>
    public string Name => Facts.Name.Length > 0 ? Facts.Name : Context;

    /// <summary>Pods with a proxy that runs.</summary>
    public IEnumerable<Pod> Proxies => Pods.Where(pod => HasProxy(pod) && pod.Status.Phase == "Running" && pod.Metadata.DeletionTimestamp is null);

    public static bool HasProxy(Pod pod) => pod.Spec.Containers.Concat(pod.Spec.InitContainers).Any(container => container.Name == "istio-proxy");

    /// <summary>The image of a proxy that is not Isthmus, as its name shows: Istio's, or Envoy. Empty otherwise.</summary>
    public static string OtherProxy(Pod pod)
    {
        var image = pod.Spec.Containers.Concat(pod.Spec.InitContainers).FirstOrDefault(container => container.Name == "istio-proxy")?.Image ?? "";
        return image.Split('/')[^1].Split(':', '@')[0] is "proxyv2" or "envoy" ? image : "";
    }

    /// <summary>Whether its proxy passes on what others call, and calls nothing itself.</summary>
    public static bool IsGateway(Pod pod) => pod.Spec.Containers.FirstOrDefault(container => container.Name == "istio-proxy")?.Args.Contains("router") == true;

    /// <summary>The Deployment of a Pod; empty when it has none.</summary>
    public static string DeploymentOf(Pod pod) =>
        pod.Metadata.OwnerReferences.FirstOrDefault(reference => reference.Controller == true) is { Kind: "ReplicaSet" } owner && WorkloadOf(pod) is var name
            && name != owner.Name ? name : "";

    /// <summary>The Pod or its Deployment, as <c>isthmus trace</c> takes a caller.</summary>
    public static string CallerOf(Pod pod) =>
        DeploymentOf(pod) is { Length: > 0 } deployment ? $"deployment/{deployment}.{pod.Metadata.Namespace}" : $"{pod.Metadata.Name}.{pod.Metadata.Namespace}";

    /// <summary>The workload of a Pod, as its proxy names it in metrics.</summary>
    public static string WorkloadOf(Pod pod)
    {
        var owner = pod.Metadata.OwnerReferences.FirstOrDefault(reference => reference.Controller == true);
        if (owner is null) return pod.Metadata.Name;
        // The Jobs of a CronJob have the minute at their ends.
        if (owner.Kind == "Job" && OfCronJob().Match(owner.Name) is { Success: true } job) return job.Groups[1].Value;
        // A ReplicaSet of a Deployment has the hash of the template at its end.
        return owner.Kind == "ReplicaSet" && pod.Metadata.Labels.TryGetValue("pod-template-hash", out var hash)
            && owner.Name.EndsWith($"-{hash}", StringComparison.Ordinal)
            ? owner.Name[..^(hash.Length + 1)] : owner.Name;
    }

    /// <summary>Whether all Pods of a workload are gone or have ended. False if some Pods could not be read.</summary>
    public bool HasEnded(string ns, string workload) => Facts.Error.Length == 0 && Withheld.Count == 0
        && !Pods.Any(pod => pod.Metadata.Namespace == ns && pod.Status.Phase is not ("Succeeded" or "Failed") && WorkloadOf(pod) == workload);

    [GeneratedRegex("^(.+)-[0-9]{8,10}$")]
    private static partial Regex OfCronJob();
}

/// <summary>All clusters, read at about the same time.</summary>
internal sealed record MeshState(DateTimeOffset Time, IReadOnlyList<ClusterState> Clusters)
{
    public static readonly MeshState Unread = new(default, []);

    public ClusterState? Find(string context) => Clusters.FirstOrDefault(cluster => cluster.Context == context);

    /// <summary>The cluster that proxies call by this name.</summary>
    public ClusterState? Named(string name) => Clusters.FirstOrDefault(cluster => cluster.Name == name);
}
