using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Lifecycle;

/// <summary>Deletes the content of a terminating namespace, of every kind that the API server serves, and removes the
/// finalizer when nothing is left.</summary>
internal sealed class NamespaceController : Controller
{
    private const string OwnFinalizer = "kubernetes";
    private static readonly TimeSpan Recheck = TimeSpan.FromMilliseconds(500);

    internal NamespaceController(Runtime runtime) : base("namespace-controller", runtime)
    {
        View.Namespaces.Listen(change =>
        {
            if (change.Object?.Metadata.DeletionTimestamp is not null) Enqueue(change.Key);
        });
        // Pods take the longest to terminate: when the last one is gone, try again.
        View.Pods.Listen(change =>
        {
            if (change is { Object: null, Before: { } gone } && View.Namespaces.Find(gone.Metadata.Namespace)?.Metadata.DeletionTimestamp is not null)
                Enqueue(gone.Metadata.Namespace);
        });
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.Namespaces.Find(key) is not { Metadata.DeletionTimestamp: not null }) return;
        // The list may still show a namespace that is gone, and a new one of that name must keep its content.
        if (await Runtime.Client.FindAsync<Namespace>(Kinds.Namespace, null, key, stop) is not { Metadata.DeletionTimestamp: not null } ns
            || !ns.Spec.Finalizers.Contains(OwnFinalizer)) return;
        var remaining = new List<(ResourceKind Kind, IReadOnlyList<PartialObject> Items)>();
        string? failure = null;
        foreach (var found in await Discovery.KindsAsync(Runtime.Client, stop))
        {
            if (!found.Kind.Namespaced || !found.Verbs.Contains("list") || !found.Verbs.Contains("delete")) continue;
            try
            {
                if (await EmptyAsync(found, key, stop) is { Count: > 0 } left) remaining.Add((found.Kind, left));
            }
            catch (KubeException e) when (e.Code is 404 or 405)
            {
                // The kind went away, or does not support deletion: none of its objects can keep the namespace.
            }
            catch (KubeException e)
            {
                failure ??= $"{found.Kind}: {e.Message}";
            }
        }
        var status = NamespaceConditions.For(ns, remaining, failure, Runtime.Now);
        if (remaining.Count > 0 || failure is not null)
        {
            if (NamespaceConditions.Differ(ns, status)) await Runtime.DoAsync(Write.Status(Kinds.Namespace, ns, status), stop);
            EnqueueAfter(key, Recheck);
            return;
        }
        await FinalizeAsync(key, stop);
    }

    /// <summary>Deletes all objects of one kind. Returns those that still exist afterwards.</summary>
    private async Task<IReadOnlyList<PartialObject>> EmptyAsync(Discovery.Found found, string ns, CancellationToken stop)
    {
        var present = await Runtime.Client.ListAllAsync<PartialObject>(found.Kind, ns, new(), stop);
        var alive = present.Where(item => item.Metadata.DeletionTimestamp is null).ToList();
        if (alive.Count == 0) return present;
        if (found.Verbs.Contains("deletecollection"))
        {
            var options = new JsonObject { ["kind"] = "DeleteOptions", ["apiVersion"] = "v1", ["propagationPolicy"] = "Background" };
            await Runtime.Client.RawAsync(HttpMethod.Delete, found.Kind.Path(ns), options, stop);
        }
        else foreach (var item in alive) await Runtime.Client.DeleteAsync(found.Kind, ns, item.Metadata.Name, stop);
        return await Runtime.Client.ListAllAsync<PartialObject>(found.Kind, ns, new(), stop);
    }

    private async Task FinalizeAsync(string name, CancellationToken stop)
    {
        if (await Runtime.Client.FindAsync(Kinds.Namespace, null, name, stop) is not { } tree || tree["metadata"]?["deletionTimestamp"] is null) return;
        var finalizers = (tree["spec"]?["finalizers"] as JsonArray ?? []).Select(one => (string?)one ?? "").Where(one => one != OwnFinalizer);
        (tree["spec"] as JsonObject ?? (JsonObject)(tree["spec"] = new JsonObject()))["finalizers"] = Tree.Strings(finalizers);
        try
        {
            await Runtime.Client.ReplaceAsync(Kinds.Namespace, tree, stop, "finalize");
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            // Somebody else deleted it first.
        }
    }
}

/// <summary>Writes to the namespace's status what prevents its deletion (the five conditions of Kubernetes).</summary>
internal static class NamespaceConditions
{
    internal static JsonObject For(Namespace ns, List<(ResourceKind Kind, IReadOnlyList<PartialObject> Items)> remaining, string? failure, DateTimeOffset now)
    {
        var finalizers = remaining.SelectMany(entry => entry.Items).SelectMany(item => item.Metadata.Finalizers).CountBy(finalizer => finalizer)
            .OrderBy(pair => pair.Key, StringComparer.Ordinal).ToList();
        var contents = remaining.OrderBy(entry => entry.Kind.ToString(), StringComparer.Ordinal)
            .Select(entry => $"{entry.Kind} has {entry.Items.Count} resource instances");
        return new()
        {
            ["phase"] = "Terminating",
            ["conditions"] = new JsonArray(
                Condition(ns, "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered", now),
                Condition(ns, "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions", "All legacy kube types successfully parsed", now),
                failure is null
                    ? Condition(ns, "NamespaceDeletionContentFailure", false, "ContentDeleted",
                        "All content successfully deleted, may be waiting on finalization", now)
                    : Condition(ns, "NamespaceDeletionContentFailure", true, "ContentDeletionFailed", $"Failed to delete all resource types: {failure}", now),
                remaining.Count == 0
                    ? Condition(ns, "NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed", now)
                    : Condition(ns, "NamespaceContentRemaining", true, "SomeResourcesRemain", $"Some resources are remaining: {string.Join(", ", contents)}",
                        now),
                finalizers.Count == 0
                    ? Condition(ns, "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", "All content-preserving finalizers finished", now)
                    : Condition(ns, "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                        $"Some content in the namespace has finalizers remaining: "
                            + $"{string.Join(", ", finalizers.Select(pair => $"{pair.Key} in {pair.Value} resource instances"))}",
                        now)),
        };
    }

    /// <summary>Whether the conditions differ from the present ones, ignoring times.</summary>
    internal static bool Differ(Namespace ns, JsonObject status) => (status["conditions"] as JsonArray)!.Any(condition =>
        !ns.Status.Conditions.Any(known => known.Type == (string?)condition!["type"] && known.Status == (string?)condition["status"]
            && known.Message == (string?)condition["message"]));

    private static JsonNode Condition(Namespace ns, string type, bool bad, string reason, string message, DateTimeOffset now)
    {
        var status = bad ? "True" : "False";
        var before = ns.Status.Conditions.FirstOrDefault(condition => condition.Type == type);
        var since = before?.Status == status ? before.LastTransitionTime ?? now : now;
        return new JsonObject
        {
            ["type"] = type, ["status"] = status, ["lastTransitionTime"] = ApiTime.Seconds(since), ["reason"] = reason, ["message"] = message
        };
    }
}
