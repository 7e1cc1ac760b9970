using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Machine.Storage;

namespace Isthmus.Lab.Controllers.Storage;

/// <summary>Decides what one claim needs.</summary>
public static class VolumeClaimPlan
{
    /// <param name="claim">Null when it is gone.</param>
    /// <param name="volumes">Volumes that name the claim, including those of earlier claims with its name.</param>
    /// <param name="used">Whether a Pod still uses a claim with this name.</param>
    public static Plan For(PersistentVolumeClaim? claim, IReadOnlyList<PersistentVolume> volumes, bool used)
    {
        var stale = volumes.Where(volume => volume.Spec.StorageClassName == StandardStorage.Class && volume.Spec.ClaimRef.Uid != claim?.Metadata.Uid).ToList();
        // The volume of a deleted claim stays while a Pod uses it.
        if (claim is null) return stale.Count == 0 ? Plan.Nothing : used ? new() { Again = TimeSpan.Zero } : Delete(stale);
        if (claim.Status.Phase == "Bound" || claim.Metadata.DeletionTimestamp is not null) return Delete(stale);
        if ((claim.Spec.StorageClassName ?? StandardStorage.Class) != StandardStorage.Class)
        {
            return Delete(stale) with
            {
                Notes = [Note.Warning(Kinds.PersistentVolumeClaim, claim, "ProvisioningFailed",
                    $"storageclass.storage.k8s.io \"{claim.Spec.StorageClassName}\" not found: the lab provides \"{StandardStorage.Class}\" only")],
            };
        }
        var name = $"pvc-{claim.Metadata.Uid}";
        var writes = Delete(stale).Writes.ToList();
        var isNew = volumes.All(volume => volume.Metadata.Name != name);
        if (isNew) writes.Add(Write.Create(Kinds.PersistentVolume, Volume(claim, name)));
        writes.Add(Write.Patch(Kinds.PersistentVolume, new PersistentVolume { Metadata = new() { Name = name } },
            new() { ["status"] = new JsonObject { ["phase"] = "Bound" } }) with { Subresource = "status" });
        writes.Add(Write.Patch(Kinds.PersistentVolumeClaim, claim,
            new() { ["spec"] = new JsonObject { ["volumeName"] = name, ["storageClassName"] = StandardStorage.Class } }));
        writes.Add(Write.Status(Kinds.PersistentVolumeClaim, claim,
            new() { ["phase"] = "Bound", ["accessModes"] = Modes(claim), ["capacity"] = Capacity(claim) }));
        return new()
        {
            Writes = writes,
            Notes = isNew ? [Note.Normal(Kinds.PersistentVolumeClaim, claim, "ProvisioningSucceeded", $"Successfully provisioned volume {name}")] : []
        };
    }

    private static Plan Delete(List<PersistentVolume> volumes) =>
        new() { Writes = [.. volumes.Select(volume => Write.Delete(Kinds.PersistentVolume, volume))] };

    private static JsonObject Volume(PersistentVolumeClaim claim, string name) => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "PersistentVolume",
        ["metadata"] = new JsonObject
        {
            ["name"] = name, ["annotations"] = new JsonObject { ["pv.kubernetes.io/provisioned-by"] = StandardStorage.Provisioner }
        },
        ["spec"] = new JsonObject
        {
            ["storageClassName"] = StandardStorage.Class,
            ["persistentVolumeReclaimPolicy"] = "Delete",
            ["accessModes"] = Modes(claim),
            ["capacity"] = Capacity(claim),
            ["hostPath"] = new JsonObject { ["path"] = $"/var/lib/isthmus-lab/claims/{name}", ["type"] = "DirectoryOrCreate" },
            ["claimRef"] = new JsonObject
            {
                ["apiVersion"] = "v1", ["kind"] = "PersistentVolumeClaim", ["namespace"] = claim.Metadata.Namespace, ["name"] = claim.Metadata.Name,
                ["uid"] = claim.Metadata.Uid,
            },
        },
    };

    private static JsonArray Modes(PersistentVolumeClaim claim) => new([.. claim.Spec.AccessModes.Select(mode => (JsonNode?)JsonValue.Create(mode))]);

    private static JsonObject Capacity(PersistentVolumeClaim claim) => (JsonObject?)claim.Spec.Resources["requests"]?.DeepClone() ?? [];
}
