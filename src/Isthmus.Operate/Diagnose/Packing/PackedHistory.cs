using System.Collections.Specialized;
using System.Text.Json;
using Isthmus.Core.Json;
using Isthmus.Core.Time;
using Isthmus.Kubernetes.Objects;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>A control plane's history in a pack, narrowed to a question as the control plane does it.</summary>
internal sealed class PackedHistory(PackedObjects objects, DateTimeOffset now)
{
    internal string Answer(string page, NameValueCollection query)
    {
        var report = StrictJson.Parse(page, ControlPlaneReports.Default.HistoryReport);
        var since = Durations.TryParse(query["since"] ?? "", out var ago) ? now - ago : DateTimeOffset.MinValue;
        var (host, pod) = (query["host"] ?? "", query["pod"] ?? "");
        var workloads = Workloads(host, pod).ToList();
        var changes = (report.Changes ?? [])
            .Where(change => (change.Last ?? DateTimeOffset.MaxValue) >= since && (host.Length + pod.Length == 0 || Concerns(change, host, workloads)));
        return JsonSerializer.Serialize(report with { Changes = [.. changes] }, ControlPlaneReports.Default.HistoryReport);
    }

    private static bool Concerns(ChangeReport change, string host, List<JsonElement> workloads)
    {
        if (change.Everything == true) return true;
        var hosts = change.Hosts ?? [];
        if (host.Length > 0
            && hosts.Any(known => known == host || known.StartsWith($"{host}.", StringComparison.Ordinal)
                || (known.StartsWith('*') && host.EndsWith(known[1..], StringComparison.Ordinal))))
            return true;
        return change.Workloads is { } selected && workloads.Any(workload => selected.Namespace == PackedObjects.Text(workload, "metadata", "namespace")
            && (selected.Labels is not { Count: > 0 } labels || LabelSelector.Selects(labels, PackedObjects.Labels(workload))));
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
}
