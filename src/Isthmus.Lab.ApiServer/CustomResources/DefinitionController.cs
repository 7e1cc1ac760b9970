using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>Accepts the names of definitions and establishes them; empties those that are being deleted.</summary>
internal sealed class DefinitionController(IObjectStore store, KindRegistry kinds, TimeProvider time) : IServerTask
{
    private static readonly TimeSpan CleanupPause = TimeSpan.FromMilliseconds(200);

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(stop);
            }
            catch (CompactedException)
            {
                // Fell behind the kept changes: begin again from the current list.
            }
        }
    }

    /// <summary>One pass over all definitions.</summary>
    /// <returns>True when a deleted one still has objects: another pass is due even without a change.</returns>
    public async Task<bool> ReconcileAsync(CancellationToken stop) =>
        (await ReconcileAsync(store.List(Resources.Definitions).Items.Select(stored => stored.Name), stop)).Emptying;

    /// <summary>Processes some definitions only: their schemas are large, and most need no change.</summary>
    private async Task<(HashSet<string> Unsettled, bool Emptying)> ReconcileAsync(IEnumerable<string> names, CancellationToken stop)
    {
        var unsettled = new HashSet<string>(StringComparer.Ordinal);
        var emptying = false;
        foreach (var name in names)
        {
            if (store.Find(Resources.Definitions, "", name) is not { } stored) continue;
            var definition = stored.Parse();
            var deleted = definition.TextAt("metadata", "deletionTimestamp").Length > 0;
            var established = !deleted && await AcceptAsync(stored, stop);
            var left = deleted && await CleanUpAsync(stored, definition, stop);
            emptying |= left;
            if (deleted ? left : !established) unsettled.Add(name);
        }
        return (unsettled, emptying);
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        var watch = store.Watch(Resources.Definitions, store.Revision);
        var due = store.List(Resources.Definitions).Items.Select(stored => stored.Name).ToHashSet(StringComparer.Ordinal);
        while (true)
        {
            // A definition whose names are taken may get them when another is deleted, so it is checked again with every change.
            (due, var emptying) = await ReconcileAsync(due, stop);
            var change = watch.WaitAsync(stop);
            await (emptying ? Task.WhenAny(change, Task.Delay(CleanupPause, time, stop)) : change);
            while (watch.TryRead(out var changed)) due.Add(changed.Object.Name);
        }
    }

    /// <returns>True when the definition is established.</returns>
    private async Task<bool> AcceptAsync(StoredObject stored, CancellationToken stop)
    {
        // Two writes, as clients that watch for the steps expect.
        await store.ChangeAsync(Resources.Definitions, "", stored.Name, AcceptNames, stop);
        var last = await store.ChangeAsync(Resources.Definitions, "", stored.Name, Establish, stop);
        return last is not null && DefinitionConditions.IsTrue(last.Parse(), DefinitionConditions.NamesAccepted);
    }

    private bool AcceptNames(JsonObject definition)
    {
        var conflict = Conflict(definition);
        var accepted = Accepted(definition);
        var changed = !JsonNode.DeepEquals(definition.At("status", "acceptedNames"), accepted);
        if (changed) definition.Ensure("status")["acceptedNames"] = accepted;
        changed |= conflict is { } found
            ? DefinitionConditions.Set(definition, DefinitionConditions.NamesAccepted, false, found.Reason, found.Message, time.GetUtcNow())
            : DefinitionConditions.Set(definition, DefinitionConditions.NamesAccepted, true, "NoConflicts", "no conflicts found", time.GetUtcNow());
        if (DefinitionConditions.IsTrue(definition, DefinitionConditions.Established)) return changed;
        var (reason, message) = conflict is null ? ("Installing", "the initial names have been accepted") : ("NotAccepted", "not all names are accepted");
        return changed | DefinitionConditions.Set(definition, DefinitionConditions.Established, false, reason, message, time.GetUtcNow());
    }

    private bool Establish(JsonObject definition) =>
        DefinitionConditions.IsTrue(definition, DefinitionConditions.NamesAccepted)
        && !DefinitionConditions.IsTrue(definition, DefinitionConditions.Established)
        && DefinitionConditions.Set(definition, DefinitionConditions.Established, true, "InitialNamesAccepted", "the initial names have been accepted",
            time.GetUtcNow());

    /// <summary>The names asked for, without short names that somebody else has.</summary>
    private JsonObject Accepted(JsonObject definition)
    {
        var accepted = (JsonObject)definition.At("spec", "names")!.DeepClone();
        var (_, others) = Others(definition);
        var free = Json.Texts(accepted["shortNames"]).Where(name => !others.Contains(name)).ToValueList();
        if (free.IsEmpty) accepted.Remove("shortNames");
        else accepted["shortNames"] = Json.Array(free);
        return accepted;
    }

    private (string Reason, string Message)? Conflict(JsonObject definition)
    {
        var names = definition.At("spec", "names");
        var (otherKinds, otherNames) = Others(definition);
        if (Taken(otherNames, names.TextAt("plural")) is { } plural) return ("PluralConflict", plural);
        if (Taken(otherNames, names.TextAt("singular")) is { } singular) return ("SingularConflict", singular);
        foreach (var shortName in Json.Texts(names.At("shortNames")))
            if (Taken(otherNames, shortName) is { } text) return ("ShortNamesConflict", text);
        if (Taken(otherKinds, names.TextAt("kind")) is { } kind) return ("KindConflict", kind);
        return Taken(otherKinds, names.TextAt("listKind")) is { } list ? ("ListKindConflict", list) : null;
    }

    private static string? Taken(HashSet<string> names, string name) => names.Contains(name) ? $"\"{name}\" is already in use" : null;

    /// <summary>Kinds and resource names of everything else in the same group.</summary>
    private (HashSet<string> Kinds, HashSet<string> Names) Others(JsonObject definition)
    {
        var resource = DefinitionKinds.ResourceOf(definition);
        var others = kinds.All.Where(kind => kind.Group == resource.Group && kind.Plural != resource.Plural).ToList();
        return ([.. others.SelectMany(kind => (string[])[kind.Kind, kind.ListKind])],
            [.. others.SelectMany(kind => kind.ShortNames.Append(kind.Plural).Append(kind.Singular))]);
    }

    /// <returns>True while objects are left.</returns>
    private async Task<bool> CleanUpAsync(StoredObject stored, JsonObject definition, CancellationToken stop)
    {
        if (!Json.Texts(definition.At("metadata", "finalizers")).Contains(DefinitionStrategy.CleanupFinalizer)) return false;
        var resource = DefinitionKinds.ResourceOf(definition);
        var left = store.List(resource).Items;
        foreach (var instance in left) await DeleteAsync(resource, instance, stop);
        left = store.List(resource).Items;
        if (left.Count == 0)
        {
            await FinishAsync(stored.Name, stop);
            return false;
        }
        await store.ChangeAsync(Resources.Definitions, "", stored.Name, tree =>
            DefinitionConditions.Set(tree, DefinitionConditions.Terminating, true, "InstanceDeletionInProgress", "CustomResource deletion is in progress",
                time.GetUtcNow()),
            stop);
        return true;
    }

    private async Task DeleteAsync(GroupResource resource, StoredObject instance, CancellationToken stop)
    {
        var tree = instance.Parse();
        if (Json.Texts(tree.At("metadata", "finalizers")).IsEmpty)
        {
            await store.DeleteAsync(resource, instance, null, stop);
            return;
        }
        await store.ChangeAsync(resource, instance.Namespace, instance.Name, Mark, stop);
    }

    private bool Mark(JsonObject instance)
    {
        var metadata = instance.Ensure("metadata");
        if (Json.Text(metadata["deletionTimestamp"]).Length > 0) return false;
        metadata["deletionTimestamp"] = ApiTime.Seconds(time.GetUtcNow());
        metadata["deletionGracePeriodSeconds"] = 0;
        if (Json.Whole(metadata["generation"]) is { } generation) metadata["generation"] = generation + 1;
        return true;
    }

    private async Task FinishAsync(string name, CancellationToken stop)
    {
        while (store.Find(Resources.Definitions, "", name) is { } current)
        {
            var tree = current.Parse();
            var rest = Json.Texts(tree.At("metadata", "finalizers")).Where(finalizer => finalizer != DefinitionStrategy.CleanupFinalizer).ToValueList();
            DefinitionConditions.Set(tree, DefinitionConditions.Terminating, false, "InstanceDeletionCompleted", "removed all instances", time.GetUtcNow());
            if (rest.IsEmpty)
            {
                tree["metadata"]!.AsObject().Remove("finalizers");
                if (await store.DeleteAsync(Resources.Definitions, current, tree, stop) is not null) return;
                continue;
            }
            tree["metadata"]!["finalizers"] = Json.Array(rest);
            if (await store.UpdateAsync(Resources.Definitions, tree, current, stop) is not null) return;
        }
    }
}
