using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;
using Isthmus.Lab.Nodes.Containers;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>What the status shows about one container.</summary>
/// <param name="WaitingReason">Why it does not run; used when it neither runs nor has ended permanently.</param>
/// <param name="End">How the current run ended.</param>
/// <param name="Previous">How the previous run ended.</param>
internal sealed record ContainerView(
    string Name, ContainerRole Role, string Image, string ImageId, string Id, int RestartCount, RunState State, bool Started, bool Ready,
    string WaitingReason, string WaitingMessage, DateTimeOffset? StartedAt, ContainerEnd? End, ContainerEnd? Previous);

/// <summary>Everything that a Pod's status is derived from.</summary>
/// <param name="Outcome">Succeeded or Failed once the Pod has ended; empty otherwise.</param>
/// <param name="Reason">For example DeadlineExceeded or Evicted.</param>
internal sealed record PodStatusInputs(
    Pod Pod, string HostIp, string PodIp, DateTimeOffset StartedAt, bool HasSandbox, bool Initialized, string Outcome, string Reason, string Message,
    ValueList<ContainerView> Containers);

/// <summary>Derives a Pod's status from what runs: phase, conditions, container statuses.</summary>
internal static class PodStatusView
{
    /// <param name="before">The conditions as the API server has them. Unchanged conditions keep their times, and
    /// conditions of others stay.</param>
    internal static JsonObject Derive(PodStatusInputs inputs, IReadOnlyList<Condition> before, DateTimeOffset now)
    {
        var status = new JsonObject
        {
            ["phase"] = Phase(inputs),
            ["conditions"] = Conditions(inputs, before, now),
            ["hostIP"] = inputs.HostIp,
            ["hostIPs"] = new JsonArray(new JsonObject { ["ip"] = inputs.HostIp }),
            ["startTime"] = Time(inputs.StartedAt),
            ["qosClass"] = inputs.Pod.Status.QosClass.Length > 0 ? inputs.Pod.Status.QosClass : "BestEffort",
            ["containerStatuses"] = Statuses(inputs, ContainerRole.Main),
        };
        if (inputs.PodIp.Length > 0)
        {
            status["podIP"] = inputs.PodIp;
            status["podIPs"] = new JsonArray(new JsonObject { ["ip"] = inputs.PodIp });
        }
        if (inputs.Reason.Length > 0) status["reason"] = inputs.Reason;
        if (inputs.Message.Length > 0) status["message"] = inputs.Message;
        if (inputs.Pod.Spec.InitContainers.Count > 0) status["initContainerStatuses"] = Statuses(inputs, ContainerRole.Init, ContainerRole.Sidecar);
        if (inputs.Pod.Spec.EphemeralContainers.Count > 0) status["ephemeralContainerStatuses"] = Statuses(inputs, ContainerRole.Ephemeral);
        return status;
    }

    internal static string Phase(PodStatusInputs inputs)
    {
        if (inputs.Outcome.Length > 0) return inputs.Outcome;
        if (!inputs.Initialized) return "Pending";
        // A container that has never run keeps the Pod Pending. One that waits to run again does not.
        return inputs.Containers.Any(one => one is { Role: ContainerRole.Main, State: RunState.NeverRan }) ? "Pending" : "Running";
    }

    private static JsonArray Conditions(PodStatusInputs inputs, IReadOnlyList<Condition> before, DateTimeOffset now)
    {
        var ours = new List<(string Type, bool Holds, string Reason, string Message)>();
        var done = inputs.Outcome == "Succeeded";
        var initialized = inputs.Initialized || inputs.Containers.All(one => one.Role is ContainerRole.Main or ContainerRole.Ephemeral);
        ours.Add(("PodReadyToStartContainers", inputs.HasSandbox, "", ""));
        var incomplete = inputs.Containers.Where(one => IsIncomplete(one, inputs.Initialized)).Select(one => one.Name).ToList();
        ours.Add(done ? ("Initialized", true, "PodCompleted", "")
            : initialized ? ("Initialized", true, "", "")
            : ("Initialized", false, "ContainersNotInitialized", $"containers with incomplete status: [{string.Join(' ', incomplete)}]"));
        var unready = inputs.Containers.Where(one => one.Role is ContainerRole.Main or ContainerRole.Sidecar && !one.Ready).Select(one => one.Name).ToList();
        var containers = done ? (false, "PodCompleted", "")
            : inputs.Outcome == "Failed" ? (false, "PodFailed", "")
            : unready.Count > 0 ? (false, "ContainersNotReady", $"containers with unready status: [{string.Join(' ', unready)}]")
            : (true, "", "");
        ours.Add(("Ready", containers.Item1, containers.Item2, containers.Item3));
        if (containers.Item1 && MissingGates(inputs.Pod, before) is { Count: > 0 } gates)
            ours[^1] = ("Ready", false, "ReadinessGatesNotReady", string.Join(", ", gates));
        ours.Add(("ContainersReady", containers.Item1, containers.Item2, containers.Item3));
        ours.Add(("PodScheduled", true, "", ""));
        var result = new JsonArray([.. ours.Select(one => ToJson(one.Type, one.Holds, one.Reason, one.Message, before, now))]);
        foreach (var other in before.Where(other => ours.All(one => one.Type != other.Type))) result.Add(Keep(other));
        return result;
    }

    private static bool IsIncomplete(ContainerView one, bool initialized) => !initialized && one.Role switch
    {
        ContainerRole.Init => one is not { State: RunState.Ended, End.ExitCode: 0 },
        ContainerRole.Sidecar => !one.Started,
        _ => false,
    };

    private static List<string> MissingGates(Pod pod, IReadOnlyList<Condition> before) =>
        [.. pod.Spec.ReadinessGates
            .Where(gate => !before.Any(one => one.Type == gate.ConditionType && one.Status == "True"))
            .Select(gate => before.Any(one => one.Type == gate.ConditionType)
                ? $"the status of pod readiness gate \"{gate.ConditionType}\" is not \"True\", but False"
                : $"corresponding condition of pod readiness gate \"{gate.ConditionType}\" does not exist.")];

    private static JsonObject ToJson(string type, bool holds, string reason, string message, IReadOnlyList<Condition> before, DateTimeOffset now)
    {
        var status = holds ? "True" : "False";
        var old = before.FirstOrDefault(one => one.Type == type);
        var json = new JsonObject
        {
            ["type"] = type,
            ["status"] = status,
            ["lastProbeTime"] = null,
            ["lastTransitionTime"] = Time(old?.Status == status && old.LastTransitionTime is { } time ? time : now),
        };
        if (reason.Length > 0) json["reason"] = reason;
        if (message.Length > 0) json["message"] = message;
        return json;
    }

    private static JsonNode Keep(Condition other)
    {
        var json = new JsonObject { ["type"] = other.Type, ["status"] = other.Status };
        if (other.LastTransitionTime is { } time) json["lastTransitionTime"] = Time(time);
        if (other.Reason.Length > 0) json["reason"] = other.Reason;
        if (other.Message.Length > 0) json["message"] = other.Message;
        return json;
    }

    private static JsonArray Statuses(PodStatusInputs inputs, params ReadOnlySpan<ContainerRole> roles)
    {
        var statuses = new JsonArray();
        foreach (var one in inputs.Containers)
            if (roles.Contains(one.Role)) statuses.Add((JsonNode)ToJson(one, inputs));
        return statuses;
    }

    private static JsonObject ToJson(ContainerView one, PodStatusInputs inputs)
    {
        var state = State(one, inputs.Outcome.Length > 0);
        // While it waits to run again, the run that ended is the last one.
        var last = state.ContainsKey("waiting") ? one.End ?? one.Previous : one.Previous;
        var json = new JsonObject
        {
            ["name"] = one.Name,
            ["state"] = state,
            ["lastState"] = last is null ? new JsonObject() : new JsonObject { ["terminated"] = ToJson(last) },
            ["ready"] = one.Ready,
            ["restartCount"] = one.RestartCount,
            ["image"] = one.Image,
            ["imageID"] = one.ImageId,
            ["started"] = one.Started,
        };
        if (one.Id.Length > 0) json["containerID"] = Id(one.Id);
        return json;
    }

    private static JsonObject State(ContainerView one, bool final)
    {
        if (one.State == RunState.Running) return new() { ["running"] = new JsonObject { ["startedAt"] = Time(one.StartedAt ?? DateTimeOffset.UnixEpoch) } };
        if (one is { State: RunState.Ended, End: { } end } && (final || one.WaitingReason.Length == 0)) return new() { ["terminated"] = ToJson(end) };
        var waiting = new JsonObject { ["reason"] = one.WaitingReason.Length > 0 ? one.WaitingReason : "PodInitializing" };
        if (one.WaitingMessage.Length > 0) waiting["message"] = one.WaitingMessage;
        return new() { ["waiting"] = waiting };
    }

    private static JsonObject ToJson(ContainerEnd end)
    {
        var json = new JsonObject
        {
            ["exitCode"] = end.ExitCode,
            ["reason"] = end.Reason,
            ["startedAt"] = Time(end.StartedAt),
            ["finishedAt"] = Time(end.FinishedAt),
            ["containerID"] = Id(end.Id),
        };
        if (end.Message.Length > 0) json["message"] = end.Message;
        return json;
    }

    private static string Id(string id) => $"isthmus://{id}";

    private static string Time(DateTimeOffset time) => ApiTime.Seconds(time);
}
