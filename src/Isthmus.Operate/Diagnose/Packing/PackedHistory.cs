using System.Collections.Specialized;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Time;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>A control plane's history in a pack, narrowed to a question as the control plane does it.</summary>
internal sealed class PackedHistory(PackedObjects objects, DateTimeOffset now)
{
    internal string Answer(string page, NameValueCollection query)
    {
        var tree = StrictJson.Parse(page)!;
        var since = Durations.TryParse(query["since"] ?? "", out var ago) ? now - ago : DateTimeOffset.MinValue;
        var (host, pod) = (query["host"] ?? "", query["pod"] ?? "");
        var workloads = Workloads(host, pod).ToList();
        tree["changes"] = new JsonArray([.. (tree["changes"] as JsonArray ?? []).OfType<JsonObject>()
            .Where(change => At(change) >= since && (host.Length + pod.Length == 0 || Concerns(change, host, workloads)))
            .Select(change => change.DeepClone())]);
        return tree.ToJsonString();
    }

    private static bool Concerns(JsonObject change, string host, List<JsonElement> workloads)
    {
        if (change["everything"] is not null) return true;
        var hosts = (change["hosts"] as JsonArray ?? []).Select(name => name?.ToString() ?? "");
        if (host.Length > 0
            && hosts.Any(known => known == host || known.StartsWith($"{host}.", StringComparison.Ordinal)
                || (known.StartsWith('*') && host.EndsWith(known[1..], StringComparison.Ordinal))))
            return true;
        if (change["workloads"] is not JsonObject selected) return false;
        var (ns, labels) = (selected["namespace"]?.ToString() ?? "", LabelSelector.OfLabels(selected["labels"] as JsonObject));
        return workloads.Any(workload => ns == PackedObjects.Text(workload, "metadata", "namespace") && labels.Matches(PackedObjects.Labels(workload)));
    }

    /// <summary>The Pod, and those behind the host.</summary>
    private IEnumerable<JsonElement> Workloads(string host, string pod)
    {
        var pods = objects.Kind("", "pods") ?? [];
        var services = (objects.Kind("", "services") ?? []).Where(service => host.Length > 0
            && $"{PackedObjects.Text(service, "metadata", "name")}.{PackedObjects.Text(service, "metadata", "namespace")}." is var name
            && ($"{host}.".StartsWith(name, StringComparison.Ordinal) || name.StartsWith($"{host}.", StringComparison.Ordinal)))
            .ToList();
        return pods.Where(item => $"{PackedObjects.Text(item, "metadata", "namespace")}/{PackedObjects.Text(item, "metadata", "name")}" == pod
            || services.Exists(service => PackedObjects.Text(service, "metadata", "namespace") == PackedObjects.Text(item, "metadata", "namespace")
                && PackedObjects.Map(service, "spec", "selector") is { Count: > 0 } selector && LabelSelector.Selects(selector, PackedObjects.Labels(item))));
    }

    private static DateTimeOffset At(JsonObject change) =>
        DateTimeOffset.TryParse(change["last"]?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : DateTimeOffset.MaxValue;
}
