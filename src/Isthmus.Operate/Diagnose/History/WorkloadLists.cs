using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.History;

/// <summary>A Deployment, StatefulSet or DaemonSet.</summary>
internal sealed record ListedWorkload(string Kind, JsonObject Object);

/// <summary>When the template of a workload became another one: a ReplicaSet or ControllerRevision was made.</summary>
internal sealed record MadeRevision(string OwnerKind, string OwnerName, DateTimeOffset At);

/// <summary>What the controller of Deployments said that it did: events stay for an hour, while a Deployment only knows its last writes.</summary>
internal sealed record ToldScaling(string Deployment, DateTimeOffset At, string What);

/// <summary>The Services and workloads of a namespace, from which its endpoints follow.</summary>
internal sealed record WorkloadObjects(IReadOnlyList<Service> Services, IReadOnlyList<ListedWorkload> Workloads, IReadOnlyList<MadeRevision> Revisions)
{
    public IReadOnlyList<ToldScaling> Scalings { get; init; } = [];

    /// <summary>False if some workloads cannot be read: then one that is not among them may exist.</summary>
    public bool AreWorkloadsKnown { get; init; } = true;
}

/// <summary>The Services and workloads of namespaces, from which their endpoints follow. Lists are kept for 15 seconds. From any thread.</summary>
public sealed class WorkloadLists(TimeProvider time)
{
    private static readonly TimeSpan MostAge = TimeSpan.FromSeconds(15);

    private readonly Lock _guard = new(); // Guards the next.
    private readonly Dictionary<(string Cluster, string Namespace), (DateTimeOffset At, WorkloadObjects Objects)> _read = [];

    /// <param name="cluster">Its name in the mesh.</param>
    internal async Task<WorkloadObjects> OfAsync(KubeClient client, string cluster, string ns, CancellationToken stop)
    {
        lock (_guard)
        {
            foreach (var (place, read) in _read.ToList())
                if (time.GetUtcNow() - read.At > MostAge) _read.Remove(place);
            if (_read.TryGetValue((cluster, ns), out var known)) return known.Objects;
        }
        var (objects, isWhole) = await ReadAsync(client, ns, stop);
        // What failed for a moment is asked for again.
        if (!isWhole) return objects;
        lock (_guard) _read[(cluster, ns)] = (time.GetUtcNow(), objects);
        return objects;
    }

    private static async Task<(WorkloadObjects Objects, bool IsWhole)> ReadAsync(KubeClient client, string ns, CancellationToken stop)
    {
        var (isWhole, areWorkloadsKnown) = (true, true);
        var (services, replicaSets, revisions) = (ListAsync<Service>(Kinds.Service), ListAsync<ReplicaSet>(Kinds.ReplicaSet),
            ListAsync<ControllerRevision>(Kinds.ControllerRevision));
        var events = ListAsync<JsonObject>(Kinds.Event, "involvedObject.kind=Deployment");
        var workloads = await Task.WhenAll(WorkloadTemplate.Kinds.Select(async kind =>
            (await ListAsync<JsonObject>(kind.Resource)).Select(one => new ListedWorkload(kind.Kind, one))));
        var made = (await replicaSets).Cast<KubeObject>().Concat(await revisions);
        return (new(await services, [.. workloads.SelectMany(all => all)], [.. made.SelectMany(Made)]) 
        {
            Scalings = [.. (await events).SelectMany(Told)], AreWorkloadsKnown = areWorkloadsKnown,
        }, isWhole);

        // Empty where it cannot be read: then the cause is not known.
        async Task<IReadOnlyList<T>> ListAsync<T>(ResourceKind kind, string? fields = null) where T : class
        {
            try
            {
                return await client.ListAllAsync<T>(kind, ns, new ListOptions { FieldSelector = fields }, stop);
            }
            catch (Exception e) when (ApiTrouble.Is(e, stop))
            {
                if (e is not KubeException { Code: 403 }) isWhole = false;
                if (WorkloadTemplate.Kinds.Any(known => known.Resource == kind)) areWorkloadsKnown = false;
                return [];
            }
        }
    }

    /// <summary>What an event says, where it is of a Deployment that was scaled.</summary>
    internal static IEnumerable<ToldScaling> Told(JsonObject one) =>
        one["reason"]?.ToString() == "ScalingReplicaSet" && one["involvedObject"]?["name"]?.ToString() is { } name
            && one["message"]?.ToString() is { Length: > 0 } said
            && DateTimeOffset.TryParse((one["lastTimestamp"] ?? one["eventTime"])?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal,
                out var at) ? [new(name, at, $"{char.ToLowerInvariant(said[0])}{said[1..]}")] : [];

    internal static IEnumerable<MadeRevision> Made(KubeObject revision) => revision.Metadata.CreationTimestamp is not { } at ? []
        : revision.Metadata.OwnerReferences.Select(owner => new MadeRevision(owner.Kind, owner.Name, at));
}
