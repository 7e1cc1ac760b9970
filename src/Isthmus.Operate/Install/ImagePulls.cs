using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Install;

/// <summary>Finds Pods that wait for an image that they will not get: waiting until the time is up would not help.</summary>
internal sealed class ImagePulls(KubeClient client)
{
    private const string Revision = "deployment.kubernetes.io/revision", Hash = "pod-template-hash";

    /// <exception cref="ProblemException">A Pod of the newest template cannot have its image.</exception>
    internal async Task CheckAsync(Deployment deployment, CancellationToken stop)
    {
        var (ns, name) = (deployment.Metadata.Namespace, deployment.Metadata.Name);
        if (!deployment.Metadata.Annotations.TryGetValue(Revision, out var revision)) return;
        var sets = await client.ListAllAsync<ReplicaSet>(Kinds.ReplicaSet, ns, new ListOptions(), stop);
        // Pods of an earlier template may wait for the image that this installation replaces.
        var newest = sets.FirstOrDefault(set => set.Metadata.OwnerReferences.Any(owner => owner.Uid == deployment.Metadata.Uid)
            && set.Metadata.Annotations.GetValueOrDefault(Revision) == revision);
        if (newest is null || !newest.Metadata.Labels.TryGetValue(Hash, out var hash)) return;
        var pods = await client.ListAllAsync<Pod>(Kinds.Pod, ns, new ListOptions { LabelSelector = $"{Hash}={hash}" }, stop);
        var waiting =
            from pod in pods
            from status in pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses)
            where status.State.Waiting?.Reason is "ImagePullBackOff" or "ErrImageNeverPull" or "InvalidImageName"
            select (pod.Metadata.Name, Container: status.Name, status.Image, status.State.Waiting!.Reason, status.State.Waiting.Message);
        if (waiting.FirstOrDefault() is not { Name: { } found } first) return;
        throw new ProblemException($"Deployment {ns}/{name} in {client.Access.Name}",
            $"cannot have the image {first.Image}: Pod {found}, container {first.Container}: {first.Reason} {first.Message}".TrimEnd(),
            "push the image, or load it on each node (docs/install/image.md), and set hub and tag; for a private registry, set values.global.imagePullSecrets; "
                + "then run the command again");
    }
}
