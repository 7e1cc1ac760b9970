using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Writes;

public sealed partial class ObjectRegistry
{
    /// <summary>Deletes an object, or marks it deleted where finalizers, grace or its kind keep it.</summary>
    public async Task<WriteResult> DeleteAsync(WriteRequest request, DeleteRequest delete, CancellationToken stop)
    {
        var kind = request.Kind;
        for (var attempt = 1; ; attempt++)
        {
            var current = context.Store.Find(kind.Storage, request.Namespace, request.Name) ?? throw ApiException.NotFound(kind.GroupResource, request.Name);
            CheckDelete(kind, current, delete);
            var old = Versions.ToRequested(kind, current);
            if (attempt == 1)
            {
                var review = Review(request, "DELETE", null, old);
                foreach (var plugin in admission) await plugin.MutateAsync(review, stop);
                await ValidateAsync(review, stop);
            }
            if (await TryDeleteAsync(request, delete, current, old, stop) is { } result) return result;
            if (attempt == MaxAttempts) throw ApiException.Modified(kind.GroupResource, request.Name);
        }
    }

    private async Task<WriteResult?> TryDeleteAsync(WriteRequest request, DeleteRequest delete, StoredObject current, JsonObject old, CancellationToken stop)
    {
        var kind = request.Kind;
        var next = (JsonObject)old.DeepClone();
        var grace = kind.Strategy.Grace(next, delete.GracePeriodSeconds).Seconds ?? 0;
        if (Metadata.IsDeleted(old)) return await DeleteAgainAsync(request, delete, current, old, next, grace, stop);
        SetPropagation(next, delete.PropagationPolicy);
        var mayGo = kind.Strategy.BeforeDelete(next, request.Context);
        if (mayGo && grace == 0 && Metadata.Finalizers(next).Count == 0)
            return await RemoveAsync(request, current, null, stop) is { } removed ? new(removed, Removed: true) : null;
        Mark(next, grace, context.Time.GetUtcNow());
        return await StoreAsync(request, current, next, stop) is { } stored ? new(stored) : null;
    }

    /// <summary>Already marked: only a shorter grace matters.</summary>
    private async Task<WriteResult?> DeleteAgainAsync(
        WriteRequest request, DeleteRequest delete, StoredObject current, JsonObject old, JsonObject next, long grace, CancellationToken stop)
    {
        var remaining = Json.Whole(Metadata.Of(old)["deletionGracePeriodSeconds"]) ?? 0;
        if (grace == 0 && Metadata.Finalizers(old).Count == 0 && request.Kind.Strategy.MayRemove(old))
            return await RemoveAsync(request, current, null, stop) is { } removed ? new(removed, Removed: true) : null;
        if (delete.GracePeriodSeconds is null || grace >= remaining) return new(current);
        Mark(next, grace, context.Time.GetUtcNow());
        return await StoreAsync(request, current, next, stop) is { } stored ? new(stored) : null;
    }

    private static void Mark(JsonObject o, long grace, DateTimeOffset now)
    {
        var metadata = Metadata.Of(o);
        metadata["deletionTimestamp"] = ApiTime.Seconds(now.AddSeconds(grace));
        metadata["deletionGracePeriodSeconds"] = grace;
        if (Json.Whole(metadata["generation"]) is { } generation) metadata["generation"] = generation + 1;
        MetadataOrder.Sort(metadata);
    }

    private static void SetPropagation(JsonObject o, string policy)
    {
        if (policy.Length == 0) return;
        var finalizers = Metadata.Finalizers(o).Where(f => f is not ("orphan" or "foregroundDeletion")).ToList();
        if (policy == "Foreground") finalizers.Add("foregroundDeletion");
        if (policy == "Orphan") finalizers.Add("orphan");
        Metadata.SetFinalizers(o, finalizers);
    }

    private static void CheckDelete(KindDescriptor kind, StoredObject current, DeleteRequest delete)
    {
        if (delete.Uid is { } uid && uid != current.Uid)
            throw Conflict(
                $"the UID in the precondition ({uid}) does not match the UID in record ({current.Uid}). The object might have been deleted and then recreated");
        var revision = current.Revision.ToString(CultureInfo.InvariantCulture);
        if (delete.ResourceVersion is { } version && version != revision)
            throw Conflict(
                $"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({revision}). The object might have been "
                    + $"modified");

        ApiException Conflict(string why) =>
            new(409, "Conflict",
                $"Operation cannot be fulfilled on {(kind.Group.Length == 0 ? kind.Kind : $"{kind.Kind}.{kind.Group}")} \"{current.Name}\": {why}",
                new(kind.Group, kind.Kind, current.Name));
    }
}
