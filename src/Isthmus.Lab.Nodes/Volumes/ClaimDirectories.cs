using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Lab.Nodes.Volumes;

/// <summary>The directories behind persistent volumes. They outlive Pods and are deleted with their volume.</summary>
internal static class ClaimDirectories
{
    /// <summary>Deletes the directories of deleted volumes, including volumes that were deleted while this node was
    /// down.</summary>
    internal static async Task RunAsync(KubeClient client, string directory, InformerSettings settings, TimeProvider time, CancellationToken stop)
    {
        var first = true;
        await new Informer<PersistentVolume>(client, Kinds.PersistentVolume, settings, time).RunAsync(changes =>
        {
            if (first)
            {
                var known = changes.Where(change => change.Object is not null).Select(change => change.Object!.Metadata.Name).ToHashSet(StringComparer.Ordinal);
                foreach (var path in Directory.EnumerateDirectories(directory).Where(path => !known.Contains(Path.GetFileName(path))))
                    Directory.Delete(path, recursive: true);
            }
            first = false;
            foreach (var change in changes.Where(change => change.Object is null && change.Before is not null))
            {
                var path = Path.Combine(directory, change.Before!.Metadata.Name);
                if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
            }
            return ValueTask.CompletedTask;
        }, stop);
    }

    /// <summary>The directory of a claim's volume; created when it does not exist.</summary>
    /// <exception cref="VolumeException">The claim is not bound.</exception>
    internal static string Of(PersistentVolumeClaim? claim, string name, string directory, Func<string, string> make)
    {
        if (claim is null) throw new VolumeException($"persistentvolumeclaim \"{name}\" not found");
        // The name becomes part of a path, so only names from the lab's own binder are accepted.
        if (claim.Status.Phase != "Bound" || claim.Spec.VolumeName != $"pvc-{claim.Metadata.Uid}")
            throw new VolumeException($"persistentvolumeclaim \"{name}\" is not bound to a volume of the lab: see 'kubectl describe pvc {name}'");
        return make(Path.Combine(directory, claim.Spec.VolumeName));
    }
}
