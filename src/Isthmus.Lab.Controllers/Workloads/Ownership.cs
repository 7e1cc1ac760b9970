using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Decides who owns which objects: adopts objects that match a selector and have no controller, releases those
/// that no longer match.</summary>
internal static class Ownership
{
    /// <summary>The items that belong to the owner, and the writes that adopt or release items.</summary>
    internal static (List<T> Owned, List<Write> Writes) Claim<T>(
        ResourceKind ownerKind, KubeObject owner, LabelSelector selector, ResourceKind kind, IEnumerable<T> candidates) where T : KubeObject
    {
        var owned = new List<T>();
        var writes = new List<Write>();
        foreach (var item in candidates.OrderBy(item => item.Metadata.Name, StringComparer.Ordinal))
        {
            var controller = Tree.ControllerOf(item);
            var matches = selector.Matches(item.Metadata.Labels);
            if (controller is not null && controller.Uid != owner.Metadata.Uid) continue;
            if (controller is not null && !matches)
            {
                if (item.Metadata.DeletionTimestamp is null) writes.Add(Release(kind, owner, item));
                continue;
            }
            if (!matches) continue;
            if (controller is null)
            {
                if (owner.Metadata.DeletionTimestamp is not null || item.Metadata.DeletionTimestamp is not null) continue;
                writes.Add(Adopt(ownerKind, owner, kind, item));
            }
            owned.Add(item);
        }
        return (owned, writes);
    }

    private static Write Adopt(ResourceKind ownerKind, KubeObject owner, ResourceKind kind, KubeObject item)
    {
        var owners = References(item.Metadata.OwnerReferences.Where(reference => reference.Uid != owner.Metadata.Uid));
        owners.Add((JsonNode)Tree.OwnedBy(ownerKind, owner));
        return Owners(kind, item, owners);
    }

    private static Write Release(ResourceKind kind, KubeObject owner, KubeObject item) =>
        Owners(kind, item, References(item.Metadata.OwnerReferences.Where(reference => reference.Uid != owner.Metadata.Uid)));

    /// <summary>Replaces the owners of an object, unless the object has changed since it was read.</summary>
    internal static Write Owners(ResourceKind kind, KubeObject item, JsonArray owners) => Write.Patch(kind, item, new JsonObject
    {
        ["metadata"] = new JsonObject
        {
            ["uid"] = item.Metadata.Uid, ["resourceVersion"] = item.Metadata.ResourceVersion,
            ["ownerReferences"] = owners.Count > 0 ? owners : null,
        },
    });

    internal static JsonArray References(IEnumerable<OwnerReference> owners)
    {
        var references = new JsonArray();
        foreach (var owner in owners)
        {
            var reference = new JsonObject { ["apiVersion"] = owner.ApiVersion, ["kind"] = owner.Kind, ["name"] = owner.Name, ["uid"] = owner.Uid };
            if (owner.Controller is { } controller) reference["controller"] = controller;
            if (owner.BlockOwnerDeletion is { } block) reference["blockOwnerDeletion"] = block;
            references.Add((JsonNode)reference);
        }
        return references;
    }
}
