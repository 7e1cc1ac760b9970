using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Tables;

/// <summary>The table of Pods: status and restarts are computed as a real API server does.</summary>
internal static class PodTable
{
    internal static KindTable Build() => KindTable.Named()
        .Text("Ready", row => Ready(row))
        .Text("Status", row => Status(row))
        .Text("Restarts", row => Restarts(row))
        .Age()
        .Wide("IP", row => row.Text("status.podIP", "<none>"))
        .Wide("Node", row => row.Text("spec.nodeName", "<none>"))
        .Wide("Nominated Node", row => row.Text("status.nominatedNodeName", "<none>"))
        .Wide("Readiness Gates", row => Gates(row));

    private static IEnumerable<JsonObject> Sidecars(Row row) =>
        row.Items("spec.initContainers").Where(container => Tree.Text(container["restartPolicy"]) == "Always");

    private static string Ready(Row row)
    {
        var sidecars = Sidecars(row).Select(container => Tree.Text(container["name"])).ToHashSet(StringComparer.Ordinal);
        var total = row.Items("spec.containers").Count() + sidecars.Count;
        var ready = row.Items("status.containerStatuses")
            .Concat(row.Items("status.initContainerStatuses").Where(status => sidecars.Contains(Tree.Text(status["name"]))))
            .Count(IsReady);
        return $"{ready}/{total}";
    }

    private static bool IsReady(JsonObject status) =>
        status["ready"] is JsonValue value && value.TryGetValue<bool>(out var ready) && ready && status["state"]?["running"] is not null;

    private static string Status(Row row)
    {
        var reason = row.Text("status.reason", row.Text("status.phase"));
        if (row.Items("status.conditions")
            .Any(condition => Tree.Text(condition["type"]) == "PodScheduled" && Tree.Text(condition["reason"]) == "SchedulingGated"))
            reason = "SchedulingGated";
        var (initializing, initReason) = Initializing(row);
        if (initReason is not null) reason = initReason;
        if (!initializing) reason = Running(row, reason);
        if (row.Text("metadata.deletionTimestamp").Length == 0) return reason;
        return row.Text("status.reason") == "NodeLost" ? "Unknown" : reason is "Succeeded" or "Failed" or "Completed" or "Error" ? reason : "Terminating";
    }

    private static (bool Initializing, string? Reason) Initializing(Row row)
    {
        var containers = row.Items("spec.initContainers").ToList();
        var restartable = Sidecars(row).Select(container => Tree.Text(container["name"])).ToHashSet(StringComparer.Ordinal);
        var index = 0;
        foreach (var status in row.Items("status.initContainerStatuses"))
        {
            var position = index++;
            var terminated = status["state"]?["terminated"];
            if (terminated is not null && Tree.Number(terminated["exitCode"]) == 0) continue;
            var isStarted = status["started"] is JsonValue value && value.TryGetValue<bool>(out var started) && started;
            if (restartable.Contains(Tree.Text(status["name"])) && isStarted) continue;
            if (terminated is not null) return (true, "Init:" + Terminated(terminated));
            var waiting = Tree.Text(status["state"]?["waiting"]?["reason"]);
            return (true, waiting.Length > 0 && waiting != "PodInitializing" ? "Init:" + waiting : $"Init:{position}/{containers.Count}");
        }
        return (false, null);
    }

    private static string Running(Row row, string reason)
    {
        var hasRunning = false;
        foreach (var status in row.Items("status.containerStatuses").Reverse())
        {
            var waiting = Tree.Text(status["state"]?["waiting"]?["reason"]);
            var terminated = status["state"]?["terminated"];
            if (waiting.Length > 0) reason = waiting;
            else if (terminated is not null) reason = Terminated(terminated);
            else if (IsReady(status)) hasRunning = true;
        }
        if (reason != "Completed" || !hasRunning) return reason;
        return row.Items("status.conditions").Any(condition => Tree.Text(condition["type"]) == "Ready" && Tree.Text(condition["status"]) == "True")
            ? "Running"
            : "NotReady";
    }

    private static string Terminated(JsonNode terminated)
    {
        if (Tree.Text(terminated["reason"]) is { Length: > 0 } reason) return reason;
        var signal = Tree.Number(terminated["signal"]) ?? 0;
        return signal != 0 ? $"Signal:{signal}" : $"ExitCode:{Tree.Number(terminated["exitCode"]) ?? 0}";
    }

    private static string Restarts(Row row)
    {
        var statuses = row.Items("status.containerStatuses").Concat(row.Items("status.initContainerStatuses")).ToList();
        var count = statuses.Sum(status => Tree.Number(status["restartCount"]) ?? 0);
        var last = statuses.Select(status => ApiTime.Parse(Tree.Text(status["lastState"]?["terminated"]?["finishedAt"]))).Max();
        return count > 0 && last is { } time
            ? $"{count.ToString(CultureInfo.InvariantCulture)} ({ApiTime.Age(row.Now - time)} ago)"
            : count.ToString(CultureInfo.InvariantCulture);
    }

    private static string Gates(Row row)
    {
        var gates = row.Items("spec.readinessGates").Select(gate => Tree.Text(gate["conditionType"])).ToList();
        if (gates.Count == 0) return "<none>";
        var met = gates.Count(gate => row.Items("status.conditions")
            .Any(condition => Tree.Text(condition["type"]) == gate && Tree.Text(condition["status"]) == "True"));
        return $"{met}/{gates.Count}";
    }
}
