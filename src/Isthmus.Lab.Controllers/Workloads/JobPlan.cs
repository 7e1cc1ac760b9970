using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Decides what one Job needs next: Pods until enough have succeeded, or too many have failed.</summary>
public static class JobPlan
{
    private const string IndexAnnotation = "batch.kubernetes.io/job-completion-index";
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestBackoff = TimeSpan.FromMinutes(6);

    /// <param name="pods">All Pods of the namespace.</param>
    public static Plan For(Job job, IEnumerable<Pod> pods, DateTimeOffset now)
    {
        if (job.Status.IsFinished) return Expire(job, now);
        if (job.Metadata.DeletionTimestamp is not null) return Plan.Nothing;
        var (owned, writes) = Ownership.Claim(Kinds.Job, job, job.Spec.Selector, Kinds.Pod, pods);
        var active = owned.Where(PodStates.IsActive).ToList();
        var succeeded = Math.Max(owned.Count(pod => pod.Status.Phase == "Succeeded"), job.Status.Succeeded);
        var failed = Math.Max(owned.Count(pod => pod.Status.Phase == "Failed"), job.Status.Failed);
        var start = job.Status.StartTime ?? now;
        var again = (TimeSpan?)null;
        var ended = Verdict(job, owned, succeeded, failed, start, now);
        if (ended is null && job.Spec.ActiveDeadlineSeconds is { } deadline) again = start.AddSeconds(deadline) - now;
        if (job.Spec.Suspend || ended is { Type: "Failed" })
        {
            writes.AddRange(active.Select(pod => Write.Delete(Kinds.Pod, pod)));
            active.Clear();
        }
        else if (ended is null)
        {
            var (missing, wait) = Missing(job, owned, active, succeeded, now);
            writes.AddRange(missing.Select(index => Write.Create(Kinds.Pod, NewPod(job, index))));
            if (wait is not null && (again is null || wait < again)) again = wait;
        }
        var status = Status(job, active, succeeded, failed, job.Spec.Suspend ? null : start, ended, now);
        if (!Tree.Holds(status, Present(job))) writes.Add(Write.Status(Kinds.Job, job, status));
        var notes = ended is null ? [] : (Note[])[ended.Type == "Failed"
            ? Note.Warning(Kinds.Job, job, ended.Reason, ended.Message) : Note.Normal(Kinds.Job, job, "Completed", "Job completed")];
        return new() { Writes = writes, Notes = notes, Again = again };
    }

    /// <summary>How the Job ended; null while it runs.</summary>
    private static Condition? Verdict(Job job, List<Pod> owned, int succeeded, int failed, DateTimeOffset start, DateTimeOffset now)
    {
        // With restartPolicy OnFailure the node restarts containers, and these restarts count.
        var restarts = owned.Sum(pod => pod.Spec.RestartPolicy == "OnFailure" ? pod.Status.ContainerStatuses.Sum(container => container.RestartCount) : 0);
        if (failed + restarts > (job.Spec.BackoffLimit ?? 6))
            return new() { Type = "Failed", Reason = "BackoffLimitExceeded", Message = "Job has reached the specified backoff limit" };
        if (job.Spec.ActiveDeadlineSeconds is { } deadline && !job.Spec.Suspend && start.AddSeconds(deadline) <= now)
            return new() { Type = "Failed", Reason = "DeadlineExceeded", Message = "Job was active longer than specified deadline" };
        var done = job.Spec.Completions is { } completions
            ? Completed(job, owned, succeeded) >= completions
            : succeeded > 0 && !owned.Any(PodStates.IsActive);
        return done ? new() { Type = "Complete", Reason = "CompletionsReached", Message = "Reached expected number of succeeded pods" } : null;
    }

    private static int Completed(Job job, List<Pod> owned, int succeeded) =>
        job.Spec.CompletionMode == "Indexed" ? owned.Where(pod => pod.Status.Phase == "Succeeded").Select(Index).Distinct().Count() : succeeded;

    /// <summary>The indexes to start now (null without index), and how long to wait after failures.</summary>
    private static (List<int?> Indexes, TimeSpan? Wait) Missing(Job job, List<Pod> owned, List<Pod> active, int succeeded, DateTimeOffset now)
    {
        var parallel = job.Spec.Parallelism ?? 1;
        var left = job.Spec.Completions is { } completions ? completions - Completed(job, owned, succeeded) : succeeded > 0 ? 0 : parallel;
        var count = Math.Min(parallel, Math.Max(0, left)) - active.Count;
        if (count <= 0) return ([], null);
        var failures = owned.Where(pod => pod.Status.Phase == "Failed").ToList();
        if (failures.Count > 0)
        {
            var pause = TimeSpan.FromTicks(Math.Min(FirstBackoff.Ticks << Math.Min(failures.Count - 1, 10), LongestBackoff.Ticks));
            var last = failures.Max(pod => pod.Status.ContainerStatuses.Select(container => container.State.Terminated?.FinishedAt).Max()
                ?? pod.Metadata.CreationTimestamp ?? now);
            if (last + pause > now) return ([], last + pause - now);
        }
        if (job.Spec.CompletionMode != "Indexed") return ([.. Enumerable.Repeat((int?)null, count)], null);
        var taken = owned.Where(pod => PodStates.IsActive(pod) || pod.Status.Phase == "Succeeded").Select(Index).ToHashSet();
        return ([.. Enumerable.Range(0, job.Spec.Completions ?? 0).Where(index => !taken.Contains(index)).Take(count).Select(index => (int?)index)], null);
    }

    private static int Index(Pod pod) =>
        int.TryParse(pod.Metadata.Annotations.GetValueOrDefault(IndexAnnotation), NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : -1;

    private static JsonObject NewPod(Job job, int? index)
    {
        var pod = PodTemplates.Pod(job.Spec.Template, Kinds.Job, job);
        if (index is not { } number) return pod;
        var metadata = (JsonObject)pod["metadata"]!;
        metadata["generateName"] = $"{job.Metadata.Name}-{number}-";
        (metadata["annotations"] as JsonObject ?? (JsonObject)(metadata["annotations"] = new JsonObject()))[IndexAnnotation] = $"{number}";
        (metadata["labels"] as JsonObject ?? (JsonObject)(metadata["labels"] = new JsonObject()))[IndexAnnotation] = $"{number}";
        pod["spec"]!["hostname"] = $"{job.Metadata.Name}-{number}";
        foreach (var container in pod["spec"]!["containers"] as JsonArray ?? [])
        {
            var variables = container!["env"] as JsonArray ?? (JsonArray)(container["env"] = new JsonArray());
            variables.Add((JsonNode)new JsonObject { ["name"] = "JOB_COMPLETION_INDEX", ["value"] = $"{number}" });
        }
        return pod;
    }

    private static JsonObject Status(Job job, List<Pod> active, int succeeded, int failed, DateTimeOffset? start, Condition? ended, DateTimeOffset now)
    {
        var status = new JsonObject
        {
            ["startTime"] = start is { } time ? ApiTime.Seconds(time) : null,
            ["active"] = ReplicaSetPlan.Some(ended is null ? active.Count : 0),
            ["ready"] = active.Count(pod => pod.Status.IsReady),
            ["succeeded"] = ReplicaSetPlan.Some(succeeded),
            ["failed"] = ReplicaSetPlan.Some(failed),
        };
        var conditions = new List<Condition>(job.Status.Conditions.Where(condition => condition.Type != "Suspended"));
        if (ended is not null) conditions.AddRange([Before(ended), ended]);
        else if (job.Spec.Suspend) conditions.Add(new() { Type = "Suspended", Reason = "JobSuspended", Message = "Job suspended" });
        if (conditions.Count > 0)
            status["conditions"] = new JsonArray([.. conditions.Select(condition => Json(condition,
                job.Status.Conditions.FirstOrDefault(known => known.Type == condition.Type)?.LastTransitionTime ?? now))]);
        if (ended is { Type: "Complete" }) status["completionTime"] = ApiTime.Seconds(now);
        return status;
    }

    /// <summary>The condition that precedes the final one since Kubernetes 1.31.</summary>
    private static Condition Before(Condition ended) =>
        new() { Type = ended.Type == "Complete" ? "SuccessCriteriaMet" : "FailureTarget", Reason = ended.Reason, Message = ended.Message };

    private static JsonNode Json(Condition condition, DateTimeOffset time) => new JsonObject
    {
        ["type"] = condition.Type, ["status"] = "True", ["lastProbeTime"] = ApiTime.Seconds(time), ["lastTransitionTime"] = ApiTime.Seconds(time),
        ["reason"] = condition.Reason, ["message"] = condition.Message,
    };

    private static JsonObject Present(Job job)
    {
        var present = new JsonObject
        {
            ["startTime"] = job.Status.StartTime is { } start ? ApiTime.Seconds(start) : null,
            ["active"] = ReplicaSetPlan.Some(job.Status.Active), ["ready"] = job.Status.Ready,
            ["succeeded"] = ReplicaSetPlan.Some(job.Status.Succeeded), ["failed"] = ReplicaSetPlan.Some(job.Status.Failed),
        };
        if (job.Status.Conditions.Count > 0)
            present["conditions"] = new JsonArray([.. job.Status.Conditions.Select(condition => Json(condition, condition.LastTransitionTime ?? default))]);
        return present;
    }

    /// <summary>Deletes a finished Job after its TTL.</summary>
    private static Plan Expire(Job job, DateTimeOffset now)
    {
        if (job.Spec.TtlSecondsAfterFinished is not { } ttl || job.Metadata.DeletionTimestamp is not null) return Plan.Nothing;
        var finished = job.Status.CompletionTime ?? job.Status.Conditions.First(condition => condition.Type is "Complete" or "Failed").LastTransitionTime
            ?? now;
        var left = finished.AddSeconds(ttl) - now;
        return left > TimeSpan.Zero ? new() { Again = left } : new() { Writes = [Write.Delete(Kinds.Job, job)] };
    }
}
