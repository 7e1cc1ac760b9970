using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.History;

/// <summary>
/// Who scaled or rolled out the workloads behind endpoints that came or went. Control planes do not watch workloads, but a Deployment, StatefulSet or DaemonSet
/// names the last writer of each field (<c>metadata.managedFields</c>), and when that one last wrote any of its fields. That it wrote the template at that
/// time is known only if a ReplicaSet or ControllerRevision was made then, and that it wrote the number of replicas only if it writes nothing else.
/// Where a webhook told a control plane of that, it is known for sure. Of other earlier writes, events tell what was done, and not who did it.
/// </summary>
internal static class WorkloadWrites
{
    private const int MostNamespaces = 20;

    /// <summary>Endpoints follow a write, as soon as Pods have ended or are ready.</summary>
    private static readonly TimeSpan Before = TimeSpan.FromMinutes(2), After = TimeSpan.FromSeconds(2);

    /// <summary>A revision follows the write of a template. Times are whole seconds.</summary>
    private static readonly TimeSpan Rollout = TimeSpan.FromSeconds(10), Second = TimeSpan.FromSeconds(1);

    /// <summary>The changes, those of endpoints with their causes as far as they are known.</summary>
    /// <param name="clients">By the name that the mesh has for a cluster.</param>
    internal static async Task<IReadOnlyList<MeshChange>> NameAsync(IReadOnlyList<MeshChange> changes, IReadOnlyDictionary<string, KubeClient> clients,
        WorkloadLists lists, CancellationToken stop)
    {
        var places = changes.Where(change => (change.ReadyEndpoints is not null || ToldWrites.IsOne(change)) && clients.ContainsKey(change.Cluster))
            .Reverse().Select(PlaceOf).Where(place => place.Namespace.Length > 0).Distinct()
            .Take(MostNamespaces);
        var read = (await Task.WhenAll(places.Select(async place =>
            (place, Objects: await lists.OfAsync(clients[place.Cluster], place.Cluster, place.Namespace, stop)))))
            .ToDictionary(one => one.place, one => one.Objects);
        var believed = ToldWrites.Believed(changes, change => read.GetValueOrDefault(PlaceOf(change)));
        return [.. believed.Select(change => change.ReadyEndpoints is not null && read.TryGetValue(PlaceOf(change), out var objects)
            ? Name(change, objects, [.. believed.Where(one => ToldWrites.IsOne(one) && PlaceOf(one) == PlaceOf(change))]) : change)];

        static (string Cluster, string Namespace) PlaceOf(MeshChange change) =>
            (change.Cluster, change.ReadyEndpoints is null ? change.Namespace : HostOf(change).Namespace);
    }

    /// <summary>The change with the latest write of a workload behind its host that can be its cause.</summary>
    /// <param name="told">What control planes were told of the workloads of the namespace.</param>
    internal static MeshChange Name(MeshChange change, WorkloadObjects objects, params IReadOnlyList<MeshChange> told)
    {
        var selector = objects.Services.FirstOrDefault(service => service.Metadata.Name == HostOf(change).Name)?.Spec.Selector;
        if (selector is not { Count: > 0 }) return change;
        var write = objects.Workloads.Where(workload => LabelSelector.Selects(selector, LabelsOf(workload.Object)))
            .SelectMany(workload => Writes(workload, objects.Revisions))
            .Where(one => IsCause(one.At)).OrderBy(one => one.At).LastOrDefault();
        var asked = told.Where(one => one.Selected is { } pods && IsCause(one.Last) && Fits(change, one)
                && (LabelSelector.Selects(selector, pods.Labels.ToDictionary(StringComparer.Ordinal))
                    || objects.Workloads.Any(workload => ToldWrites.IsOf(one, workload) && LabelSelector.Selects(selector, LabelsOf(workload.Object)))))
            .MaxBy(one => one.Last);
        if (asked is not null && (write is null || write.At <= asked.Last + ToldWrites.Skew))
        {
            return change with
            {
                FieldManager = asked.FieldManager, User = asked.User, IsUserProven = asked.IsUserProven,
                Cause = $"{asked.Object} {(asked.Cause.Length > 0 ? asked.Cause : "was deleted")}",
            };
        }
        if (write is not null) return change with { FieldManager = write.Manager, Cause = write.What };
        // Who did it is not known any more, once somebody else has written the field.
        var scaled = objects.Workloads.Where(workload => workload.Kind == "Deployment" && LabelSelector.Selects(selector, LabelsOf(workload.Object)))
            .SelectMany(workload => objects.Scalings.Where(one => one.Deployment == workload.Object["metadata"]?["name"]?.ToString()))
            .Where(one => IsCause(one.At)).OrderBy(one => one.At).LastOrDefault();
        return scaled is null ? change : change with { Cause = $"Deployment {HostOf(change).Namespace}/{scaled.Deployment} {scaled.What}" };

        bool IsCause(DateTimeOffset at) => at >= change.First - Before && at <= change.Last + After;
    }

    /// <summary>Whether endpoints can have come or gone by what was done to a workload: fewer replicas do not bring endpoints.</summary>
    private static bool Fits(MeshChange endpoints, MeshChange told)
    {
        if (endpoints.ReadyEndpoints is not { } ready || ready.Before == ready.After) return true;
        var isLess = told.Scaling is not { } scaling || scaling.After < scaling.Before;
        return isLess == ready.After < ready.Before;
    }

    /// <summary>Which workloads of a namespace were made, scaled, rolled out or otherwise changed since a time, and who did it, each as a change of its
    /// own.</summary>
    /// <param name="cluster">Its name in the mesh.</param>
    internal static IEnumerable<MeshChange> Of(string cluster, WorkloadObjects objects, DateTimeOffset since)
    {
        foreach (var workload in objects.Workloads)
        {
            var metadata = workload.Object["metadata"]!;
            if (Writes(workload, objects.Revisions).Where(one => one.At >= since).OrderBy(one => one.At).LastOrDefault() is not { } write) continue;
            var (ns, name) = (metadata["namespace"]?.ToString() ?? "", metadata["name"]?.ToString() ?? "");
            var isNew = DateTimeOffset.TryParse(metadata["creationTimestamp"]?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal,
                out var made) && write.At - made < Second;
            yield return new(cluster, workload.Kind, ns, name, isNew ? "created" : "changed")
            {
                First = write.At, Last = write.At, FieldManager = write.Manager, Cause = isNew ? "" : write.What[$"{workload.Kind} {ns}/{name} ".Length..],
                Selected = (ns, LabelsOf(workload.Object).ToValueMap()),
            };
        }
    }

    /// <summary>Who wrote the replicas of a workload, and when, as far as it tells.</summary>
    internal static IEnumerable<(DateTimeOffset At, string Manager)> Scalings(JsonObject workload)
    {
        foreach (var entry in workload["metadata"]?["managedFields"] as JsonArray ?? [])
        {
            if (entry?["fieldsV1"]?["f:spec"] is JsonObject fields && fields.ContainsKey("f:replicas")
                && DateTimeOffset.TryParse(entry["time"]?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
                yield return (at, entry["manager"]?.ToString() ?? "");
        }
    }

    private sealed record FieldWrite(DateTimeOffset At, string Manager, string What);

    /// <summary>HOST is NAME.NAMESPACE.svc and so on.</summary>
    private static (string Name, string Namespace) HostOf(MeshChange change) => change.Name.Split('.') is [var name, var ns, "svc", ..] ? (name, ns) : ("", "");

    private static Dictionary<string, string> LabelsOf(JsonObject workload) =>
        (workload["spec"]?["template"]?["metadata"]?["labels"] as JsonObject ?? []).ToDictionary(label => label.Key, label => $"{label.Value}",
            StringComparer.Ordinal);

    private static IEnumerable<FieldWrite> Writes(ListedWorkload workload, IReadOnlyList<MadeRevision> revisions)
    {
        var metadata = workload.Object["metadata"]!;
        var name = $"{workload.Kind} {metadata["namespace"]}/{metadata["name"]}";
        foreach (var entry in metadata["managedFields"] as JsonArray ?? [])
        {
            if (entry?["fieldsV1"]?["f:spec"] is not JsonObject fields || entry["manager"]?.ToString() is not { } manager
                || !DateTimeOffset.TryParse(entry["time"]?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
                continue;
            if (fields.ContainsKey("f:replicas") && !fields.ContainsKey("f:template"))
                yield return new(at, manager, $"{name} was scaled to {workload.Object["spec"]?["replicas"]}");
            else if (fields.ContainsKey("f:template"))
                yield return new(at, manager,
                    revisions.Any(made => IsOf(made, workload.Kind, metadata, at)) ? $"{name} was rolled out" : $"{name} was changed");
        }
    }

    private static bool IsOf(MadeRevision made, string kind, JsonNode workload, DateTimeOffset at) =>
        made.OwnerKind == kind && made.OwnerName == workload["name"]?.ToString() && made.At >= at - Second && made.At <= at + Rollout;
}
