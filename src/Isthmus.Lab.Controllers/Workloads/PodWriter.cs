using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Executes the Pod writes of a workload: concurrently, remembered until the list shows them, with an Event for
/// each.</summary>
internal sealed class PodWriter(Runtime runtime, string component)
{
    private readonly Expectations _expectations = new(runtime.Time);

    /// <summary>False while the list does not yet show what was written for this key.</summary>
    internal bool Settled(string key) => _expectations.Met(key, runtime.View.Pods);

    internal void Forget(string key) => _expectations.Forget(key);

    /// <exception cref="KubeException">A write failed; the others of its batch were executed.</exception>
    internal async Task DoAsync(ResourceKind ownerKind, KubeObject owner, Plan plan, CancellationToken stop)
    {
        foreach (var write in plan.Writes.Where(IsNeededByPods)) await EnsureAsync(write, stop);
        Exception? failure = null;
        var creations = plan.Writes.Where(write => write is { Verb: WriteVerb.Create, Kind.Kind: "Pod" }).ToList();
        // Batches grow: a write that fails once (a quota, a missing ServiceAccount) would otherwise fail a hundred times.
        for (var (at, size) = (0, 1); at < creations.Count && failure is null; at += size, size *= 2)
        {
            var batch = creations.Skip(at).Take(size);
            var failures = await Task.WhenAll(batch.Select(write => CreateAsync(ownerKind, owner, write, stop)));
            failure = failures.FirstOrDefault(one => one is not null);
        }
        var deletions = plan.Writes.Where(write => write is { Verb: WriteVerb.Delete, Kind.Kind: "Pod" });
        await Task.WhenAll(deletions.Select(write => DeleteAsync(ownerKind, owner, write, stop)));
        foreach (var write in plan.Writes)
            if (write is not { Verb: WriteVerb.Create or WriteVerb.Delete, Kind.Kind: "Pod" } && !IsNeededByPods(write)) await runtime.DoAsync(write, stop);
        foreach (var note in plan.Notes) runtime.Record(component, note);
        if (failure is not null) throw failure;
    }

    /// <summary>Revisions and claims are created before the Pods that use them.</summary>
    private static bool IsNeededByPods(Write write) => write.Verb == WriteVerb.Create && write.Kind != Kinds.Pod;

    private async Task EnsureAsync(Write write, CancellationToken stop)
    {
        try
        {
            await runtime.DoAsync(write, stop);
        }
        catch (KubeException e) when (e.IsAlreadyExists)
        {
            // An earlier owner of the same name left it.
        }
    }

    private async Task<Exception?> CreateAsync(ResourceKind ownerKind, KubeObject owner, Write write, CancellationToken stop)
    {
        try
        {
            var made = (await runtime.DoAsync(write, stop))!["metadata"]!;
            var name = (string)made["name"]!;
            _expectations.Created(owner.Key, $"{owner.Metadata.Namespace}/{name}", (string)made["uid"]!);
            runtime.Record(component, Note.Normal(ownerKind, owner, "SuccessfulCreate", $"Created pod: {name}"));
            return null;
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            // The namespace is being deleted, and this owner with it.
            if (e is KubeException { Code: 403 } && e.Message.Contains("being terminated", StringComparison.Ordinal)) return null;
            runtime.Record(component, Note.Warning(ownerKind, owner, "FailedCreate", $"Error creating: {e.Message}"));
            return e;
        }
    }

    private async Task DeleteAsync(ResourceKind ownerKind, KubeObject owner, Write write, CancellationToken stop)
    {
        _expectations.Deleted(owner.Key, $"{write.Namespace}/{write.Name}", write.Uid!);
        await runtime.DoAsync(write, stop);
        runtime.Record(component, Note.Normal(ownerKind, owner, "SuccessfulDelete", $"Deleted pod: {write.Name}"));
    }
}
