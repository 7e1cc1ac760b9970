using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Storage;

/// <summary>
/// Binds claims of the class <c>standard</c> to volumes that are directories on the lab's node (the roles of Kubernetes'
/// persistent volume binder and of kind's local path provisioner). The node creates a directory when a Pod first uses it,
/// and deletes it with the volume.
/// </summary>
internal sealed class VolumeClaimController : Controller
{
    private static readonly TimeSpan UseCheck = TimeSpan.FromSeconds(1);

    private readonly WatchedList<PersistentVolumeClaim> _claims;
    private readonly WatchedList<PersistentVolume> _volumes;

    internal VolumeClaimController(Runtime runtime) : base("persistentvolume-binder", runtime)
    {
        _claims = View.Watch<PersistentVolumeClaim>(Kinds.PersistentVolumeClaim);
        _volumes = View.Watch<PersistentVolume>(Kinds.PersistentVolume);
        _claims.Listen(change => Enqueue(change.Key));
        _volumes.Listen(change =>
        {
            if (change.Object is { Spec.ClaimRef: { Name.Length: > 0 } claim }) Enqueue($"{claim.Namespace}/{claim.Name}");
        });
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        var volumes = _volumes.Items.Where(volume => $"{volume.Spec.ClaimRef.Namespace}/{volume.Spec.ClaimRef.Name}" == key);
        var ns = key.Split('/')[0];
        var used = View.PodsByNamespace[ns].Where(pod => !PodStates.IsFinished(pod))
            .SelectMany(pod => pod.Spec.Volumes).Any(volume => volume.PersistentVolumeClaim?["claimName"]?.ToString() is { } name && $"{ns}/{name}" == key);
        var plan = VolumeClaimPlan.For(_claims.Find(key), [.. volumes], used);
        await DoAsync(key, plan with { Again = plan.Again is null ? null : UseCheck }, stop);
    }
}
