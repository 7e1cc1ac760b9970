using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Patch;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Writes;

/// <summary>
/// Creates, changes and deletes objects of any kind: the only place that defines the order of defaulting, admission, validation and
/// storing.
/// </summary>
public sealed partial class ObjectRegistry(ApiServerContext context, IReadOnlyList<IAdmissionPlugin> admission)
{
    private const int MaxAttempts = 16;

    /// <summary>Stores a new object.</summary>
    public async Task<WriteResult> CreateAsync(WriteRequest request, JsonObject o, CancellationToken stop)
    {
        var kind = request.Kind;
        if (kind.CreateForbidden)
            throw new ApiException(405, "MethodNotAllowed", "create not allowed while custom resource definition is terminating", new(kind.Group, kind.Plural));
        var metadata = Metadata.Of(o);
        if (Metadata.Text(o, "resourceVersion").Length > 0)
            throw new ApiException(500, "", "resourceVersion should not be set on objects to be created", withDetails: false);
        SetNamespace(request, o);
        CheckNamespace(request, Metadata.Name(o));
        Metadata.RemoveSystemFields(metadata);
        var managed = metadata["managedFields"]?.DeepClone();
        // Nodes register themselves with their status; everything else gets it from its controller.
        if (kind.Subresource("status") is not null && kind is not { Group: "", Plural: "nodes" }) o.Remove("status");
        kind.Strategy.Prune(o, null);
        kind.Strategy.Default(o);
        var review = Review(request, "CREATE", o, null);
        o = await MutateAsync(review, stop);
        // What it begins with depends on what admission made of it: the QoS class of a Pod on containers that were injected.
        kind.Strategy.PrepareForCreate(o, request.Context);
        for (var attempt = 1; ; attempt++)
        {
            var generated = Complete(request, o);
            if (managed is not null && request.IsApply) Metadata.Of(o)["managedFields"] = managed.DeepClone();
            else Metadata.Of(o).Remove("managedFields");
            Validate(request, o, null);
            review.Object = o;
            await ValidateAsync(review, stop);
            if (!request.IsApply) ManagedFields.Update(null, o, request, context.Time.GetUtcNow());
            if (await StoreAsync(request, null, o, stop) is { } stored) return new(stored, Created: true);
            if (generated is null || attempt == MaxAttempts) throw ApiException.AlreadyExists(kind.GroupResource, Metadata.Name(o));
            // Another object has the random name: the next one is tried with what admission left of this one.
            o = (JsonObject)o.DeepClone();
            Metadata.Of(o).Remove("name");
        }
    }

    /// <summary>Changes an object by a function of its present content; called again if another writer changes it first.</summary>
    /// <param name="change">Gets a tree it may change, returns the new content. Null for the tree: the object does not exist.</param>
    /// <param name="mayCreate">A missing object is created from what <paramref name="change"/> makes of null.</param>
    public async Task<WriteResult> UpdateAsync(WriteRequest request, Func<JsonObject?, JsonObject> change, bool mayCreate, CancellationToken stop)
    {
        var kind = request.Kind;
        for (var attempt = 1; ; attempt++)
        {
            var current = context.Store.Find(kind.Storage, request.Namespace, request.Name);
            if (current is null)
            {
                if (!mayCreate) throw ApiException.NotFound(kind.GroupResource, request.Name);
                return await CreateAsync(request, change(null), stop);
            }
            var old = Versions.ToRequested(kind, current);
            var next = change((JsonObject)old.DeepClone());
            var wanted = Metadata.Text(next, "resourceVersion");
            CheckPreconditions(kind, current, next, wanted);
            if (await TryUpdateAsync(request, current, old, next, stop) is { } result) return result;
            var pinned = wanted.Length > 0 && request.Attributes.Verb == "update";
            if (pinned || attempt == MaxAttempts) throw ApiException.Modified(kind.GroupResource, request.Name);
        }
    }

    private async Task<WriteResult?> TryUpdateAsync(WriteRequest request, StoredObject current, JsonObject old, JsonObject next, CancellationToken stop)
    {
        var kind = request.Kind;
        SetNamespace(request, next);
        var metadata = Metadata.Of(next);
        var managed = metadata["managedFields"]?.DeepClone();
        metadata.Remove("managedFields");
        Metadata.KeepSystemFields(Metadata.Of(old), metadata);
        CheckFinalizers(kind, old, next);
        next = Subresources.Restrict(request, old, next);
        kind.Strategy.Prune(next, null);
        kind.Strategy.PrepareForUpdate(old, next, request.Context);
        kind.Strategy.Default(next);
        var review = Review(request, "UPDATE", next, old);
        next = await MutateAsync(review, stop);
        Metadata.Of(next).Remove("managedFields");
        if (kind.Strategy.HasGeneration) Generations.Update(kind, old, next);
        Validate(request, next, old);
        review.Object = next;
        await ValidateAsync(review, stop);
        if (request.IsApply) SetManaged(next, managed);
        else ManagedFields.Update(old, next, request, context.Time.GetUtcNow(), managed);
        if (IsSame(old, next)) return new(current);
        if (Metadata.IsDeleted(next) && Metadata.Finalizers(next).Count == 0 && Json.Whole(Metadata.Of(next)["deletionGracePeriodSeconds"]) is null or 0
            && kind.Strategy.MayRemove(next))
            return await RemoveAsync(request, current, next, stop) is { } removed ? new(removed, Removed: true) : null;
        return await StoreAsync(request, current, next, stop) is { } stored ? new(stored) : null;
    }

    private static void SetManaged(JsonObject o, JsonNode? managed)
    {
        if (managed is not null) Metadata.Of(o)["managedFields"] = managed;
    }

    /// <summary>A write that changes nothing is not stored; times in managedFields alone are nothing.</summary>
    private static bool IsSame(JsonObject old, JsonObject next)
    {
        if (!JsonNode.DeepEquals(WithoutManaged(old), WithoutManaged(next))) return false;
        return ManagedFields.SameOwners(Metadata.Of(old)["managedFields"] as JsonArray, Metadata.Of(next)["managedFields"] as JsonArray);
    }

    private static JsonObject WithoutManaged(JsonObject o)
    {
        var copy = (JsonObject)o.DeepClone();
        Metadata.Of(copy).Remove("managedFields");
        return copy;
    }

    /// <returns>The prefix of a generated name, or null when the name was given.</returns>
    private string? Complete(WriteRequest request, JsonObject o)
    {
        var metadata = Metadata.Of(o);
        string? generated = null;
        if (Metadata.Name(o).Length == 0 && Metadata.Text(o, "generateName") is { Length: > 0 } prefix)
        {
            metadata["name"] = ObjectNames.Generate(prefix, context.Random);
            generated = prefix;
        }
        if (Metadata.Name(o).Length == 0)
            throw ApiException.Invalid(request.Kind.Group, request.Kind.Kind, "", [FieldError.Required("metadata.name", "name or generateName is required")]);
        metadata["uid"] = Guid.NewGuid().ToString();
        metadata["creationTimestamp"] = ApiTime.Seconds(context.Time.GetUtcNow());
        if (request.Kind.Strategy.HasGeneration) metadata["generation"] = 1;
        MetadataOrder.Sort(metadata);
        return generated;
    }

    private static void SetNamespace(WriteRequest request, JsonObject o)
    {
        var metadata = Metadata.Of(o);
        var given = Metadata.Namespace(o);
        if (!request.Kind.Namespaced)
        {
            metadata.Remove("namespace");
            return;
        }
        if (given.Length > 0 && given != request.Namespace)
            throw ApiException.BadRequest("the namespace of the provided object does not match the namespace sent on the request");
        if (given.Length == 0) metadata["namespace"] = request.Namespace;
    }

    private void CheckNamespace(WriteRequest request, string name)
    {
        if (!request.Kind.Namespaced) return;
        var ns = context.Store.Find(Resources.Namespaces, "", request.Namespace) ?? throw ApiException.NotFound(Resources.Namespaces, request.Namespace);
        if (!Metadata.IsDeleted(ns.Parse())) return;
        throw ApiException.Forbidden(request.Kind.Group, request.Kind.Plural, name,
            $"unable to create new content in namespace {request.Namespace} because it is being terminated",
            [new("NamespaceTerminating", $"namespace {request.Namespace} is being terminated", "metadata.namespace")]);
    }

    private static void CheckPreconditions(KindDescriptor kind, StoredObject current, JsonObject next, string wanted)
    {
        if (Metadata.Text(next, "uid") is { Length: > 0 } uid && uid != current.Uid)
            throw ApiException.Conflict(kind.GroupResource, current.Name,
                $"StorageError: invalid object, Code: 4, Key: /registry/{kind.Storage.Plural}/{current.Key}, ResourceVersion: 0, AdditionalErrorMsg: "
                    + $"Precondition failed: UID in precondition: {uid}, UID in object meta: {current.Uid}");
        if (wanted is "" or "0")
        {
            if (kind.Strategy.UnconditionalUpdate) return;
            throw ApiException.Invalid(kind.Group, kind.Kind, current.Name,
                [new("FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update")]);
        }
        if (wanted != current.Revision.ToString(CultureInfo.InvariantCulture)) throw ApiException.Modified(kind.GroupResource, current.Name);
    }

    private static void CheckFinalizers(KindDescriptor kind, JsonObject old, JsonObject next)
    {
        if (!Metadata.IsDeleted(old)) return;
        var added = Metadata.Finalizers(next).Except(Metadata.Finalizers(old)).ToList();
        if (added.Count == 0) return;
        throw ApiException.Invalid(kind.Group, kind.Kind, Metadata.Name(old),
            [FieldError.Forbidden("metadata.finalizers",
                $"no new finalizers can be added if the object is being deleted, found new finalizers "
                    + $"[]string{{{string.Join(", ", added.Select(f => $"\"{f}\""))}}}")]);
    }

    private static AdmissionRequest Review(WriteRequest request, string operation, JsonObject? o, JsonObject? old) => new()
    {
        Attributes = request.Attributes,
        Kind = request.Kind,
        Operation = operation,
        Object = o,
        OldObject = old,
        Options = request.Options,
        DryRun = request.DryRun,
        Warnings = request.Warnings,
    };

    private async Task<JsonObject> MutateAsync(AdmissionRequest review, CancellationToken stop)
    {
        foreach (var plugin in admission) await plugin.MutateAsync(review, stop);
        var o = review.Object!;
        review.Kind.Strategy.Prune(o, null);
        review.Kind.Strategy.Default(o);
        return o;
    }

    private async Task ValidateAsync(AdmissionRequest review, CancellationToken stop)
    {
        foreach (var plugin in admission) await plugin.ValidateAsync(review, stop);
    }

    private static void Validate(WriteRequest request, JsonObject o, JsonObject? old)
    {
        var errors = MetadataRules.Validate(request.Kind, o).ToList();
        errors.AddRange(request.Kind.Strategy.Validate(o, request.Context));
        if (old is not null) errors.AddRange(request.Kind.Strategy.ValidateUpdate(old, o, request.Context));
        if (errors.Count > 0) throw ApiException.Invalid(request.Kind.Group, request.Kind.Kind, Metadata.Name(o), errors);
    }

    /// <returns>Null if another writer changed it first.</returns>
    private async Task<StoredObject?> StoreAsync(WriteRequest request, StoredObject? current, JsonObject next, CancellationToken stop)
    {
        var kind = request.Kind;
        var reservation = kind.Strategy.Reserve(current?.Parse(), next, request.Context);
        StoredObject? stored = null;
        try
        {
            if (request.DryRun)
            {
                if (current is null && context.Store.Find(kind.Storage, Metadata.Namespace(next), Metadata.Name(next)) is not null) return null;
                return StoredJson.Write(next, current?.Revision ?? 0);
            }
            var tree = Versions.ToStorage(kind, next);
            stored = current is null
                ? await context.Store.CreateAsync(kind.Storage, tree, stop)
                : await context.Store.UpdateAsync(kind.Storage, tree, current, stop);
            return stored;
        }
        finally
        {
            if (stored is not null) reservation?.Commit();
            else reservation?.Release();
        }
    }

    private async Task<StoredObject?> RemoveAsync(WriteRequest request, StoredObject current, JsonObject? last, CancellationToken stop)
    {
        var kind = request.Kind;
        if (request.DryRun) return current;
        var removed = await context.Store.DeleteAsync(kind.Storage, current, last is null ? null : Versions.ToStorage(kind, last), stop);
        if (removed is not null) kind.Strategy.Reserve(current.Parse(), null, request.Context)?.Commit();
        return removed;
    }
}
