using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Decides what one CronJob needs now: a Job that is due, removal of old Jobs, a status update.</summary>
public static class CronJobPlan
{
    private const string ScheduledAt = "batch.kubernetes.io/cronjob-scheduled-timestamp";

    /// <param name="jobs">All Jobs of the namespace.</param>
    public static Plan For(CronJob cron, IEnumerable<Job> jobs, DateTimeOffset now)
    {
        if (cron.Metadata.DeletionTimestamp is not null) return Plan.Nothing;
        var owned = jobs.Where(job => Tree.ControllerOf(job)?.Uid == cron.Metadata.Uid).OrderBy(job => job.Metadata.CreationTimestamp).ToList();
        var writes = Trim(owned, "Complete", cron.Spec.SuccessfulJobsHistoryLimit ?? 3).Concat(Trim(owned, "Failed", cron.Spec.FailedJobsHistoryLimit ?? 1))
            .ToList();
        var notes = new List<Note>();
        var active = owned.Where(job => !job.Status.IsFinished && job.Metadata.DeletionTimestamp is null).ToList();
        var last = cron.Status.LastScheduleTime;
        TimeSpan? again = null;
        if (Zone(cron.Spec.TimeZone) is not { } zone || CronSchedule.Parse(cron.Spec.Schedule) is not { } schedule)
        {
            notes.Add(Note.Warning(Kinds.CronJob, cron, "UnparseableSchedule",
                $"unparseable schedule: \"{cron.Spec.Schedule}\" (time zone {cron.Spec.TimeZone ?? "UTC"})"));
        }
        else if (!cron.Spec.Suspend)
        {
            var due = Due(cron, schedule, zone, now);
            if (due is { } time && Start(cron, time, active, writes, notes)) last = time;
            again = schedule.Next(now, zone) - now + TimeSpan.FromMilliseconds(10);
        }
        var status = new JsonObject
        {
            ["active"] = active.Count > 0 ? new JsonArray([.. active.Select(Reference)]) : null,
            ["lastScheduleTime"] = last is { } scheduled ? ApiTime.Seconds(scheduled) : null,
            ["lastSuccessfulTime"] = owned.Select(job => job.Status.CompletionTime).Append(cron.Status.LastSuccessfulTime).Max() is { } success
                ? ApiTime.Seconds(success)
                : null,
        };
        foreach (var done in owned.Where(job => job.Status.IsFinished && cron.Status.Active.Any(one => one.Uid == job.Metadata.Uid)))
        {
            var how = done.Status.Conditions.Any(condition => condition is { Type: "Failed", Status: "True" }) ? "Failed" : "Complete";
            notes.Add(Note.Normal(Kinds.CronJob, cron, "SawCompletedJob", $"Saw completed job: {done.Metadata.Name}, condition: {how}"));
        }
        // Of two decisions from one copy, the second fails, so no Event is recorded twice.
        if (!Tree.Holds(status, Present(cron)))
            writes.Add(Write.Patch(Kinds.CronJob, cron,
                new JsonObject { ["metadata"] = new JsonObject { ["resourceVersion"] = cron.Metadata.ResourceVersion }, ["status"] = status }) with
                {
                    Subresource = "status"
                });
        return new() { Writes = writes, Notes = notes, Again = again };
    }

    /// <summary>The latest due time that has no Job yet.</summary>
    private static DateTimeOffset? Due(CronJob cron, CronSchedule schedule, TimeZoneInfo zone, DateTimeOffset now)
    {
        var from = cron.Status.LastScheduleTime ?? cron.Metadata.CreationTimestamp ?? now;
        var earliest = now.AddSeconds(-(cron.Spec.StartingDeadlineSeconds ?? 24 * 3600));
        if (from < earliest) from = earliest;
        DateTimeOffset? due = null;
        while (schedule.Next(due ?? from, zone) is { } next && next <= now) due = next;
        return due;
    }

    private static bool Start(CronJob cron, DateTimeOffset time, List<Job> active, List<Write> writes, List<Note> notes)
    {
        if (active.Count > 0 && cron.Spec.ConcurrencyPolicy == "Forbid")
        {
            notes.Add(Note.Normal(Kinds.CronJob, cron, "JobAlreadyActive",
                "Not starting job because prior execution is running and concurrency policy is Forbid"));
            return false;
        }
        if (cron.Spec.ConcurrencyPolicy == "Replace") writes.AddRange(active.Select(job => Write.Delete(Kinds.Job, job)));
        var name = $"{cron.Metadata.Name}-{(time.ToUnixTimeSeconds() / 60).ToString(CultureInfo.InvariantCulture)}";
        var metadata = new JsonObject
        {
            ["name"] = name, ["namespace"] = cron.Metadata.Namespace, ["ownerReferences"] = new JsonArray(Tree.OwnedBy(Kinds.CronJob, cron))
        };
        if (cron.Spec.JobTemplate["metadata"]?["labels"] is { } labels) metadata["labels"] = labels.DeepClone();
        var annotations = cron.Spec.JobTemplate["metadata"]?["annotations"]?.DeepClone() as JsonObject ?? [];
        annotations[ScheduledAt] = ApiTime.Seconds(time);
        metadata["annotations"] = annotations;
        writes.Add(Write.Create(Kinds.Job,
            new JsonObject { ["apiVersion"] = "batch/v1", ["kind"] = "Job", ["metadata"] = metadata, ["spec"] = cron.Spec.JobTemplate["spec"]?.DeepClone() }));
        notes.Add(Note.Normal(Kinds.CronJob, cron, "SuccessfulCreate", $"Created job {name}"));
        return true;
    }

    private static IEnumerable<Write> Trim(List<Job> owned, string type, int limit)
    {
        var finished = owned.Where(job => job.Metadata.DeletionTimestamp is null
            && job.Status.Conditions.Any(condition => condition.Type == type && condition.Status == "True"))
            .ToList();
        return finished.Take(Math.Max(0, finished.Count - limit)).Select(job => Write.Delete(Kinds.Job, job));
    }

    private static TimeZoneInfo? Zone(string? name) =>
        string.IsNullOrEmpty(name) ? TimeZoneInfo.Utc : TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone) ? zone : null;

    private static JsonNode Reference(Job job) => new JsonObject
    {
        ["apiVersion"] = "batch/v1", ["kind"] = "Job", ["namespace"] = job.Metadata.Namespace, ["name"] = job.Metadata.Name, ["uid"] = job.Metadata.Uid,
    };

    private static JsonObject Present(CronJob cron) => new()
    {
        ["active"] = cron.Status.Active.Count > 0 ? new JsonArray([.. cron.Status.Active.Select(one => (JsonNode)new JsonObject
        {
            ["apiVersion"] = one.ApiVersion, ["kind"] = one.Kind, ["namespace"] = one.Namespace, ["name"] = one.Name, ["uid"] = one.Uid,
        })]) : null,
        ["lastScheduleTime"] = cron.Status.LastScheduleTime is { } scheduled ? ApiTime.Seconds(scheduled) : null,
        ["lastSuccessfulTime"] = cron.Status.LastSuccessfulTime is { } success ? ApiTime.Seconds(success) : null,
    };
}
