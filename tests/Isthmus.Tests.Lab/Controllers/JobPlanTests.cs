using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Workloads;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class JobPlanTests
{
    private const string Sum = """
        apiVersion: batch/v1
        kind: Job
        metadata: {name: sum, namespace: shop, uid: j1}
        spec:
          completions: 3
          parallelism: 2
          backoffLimit: 1
          selector: {matchLabels: {job: sum}}
          template: {metadata: {labels: {job: sum}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}
        ---

        """;

    [Fact]
    public void As_many_run_at_once_as_allowed_until_enough_have_succeeded()
    {
        Assert.Equal(2, Made(For(Sum)));
        Assert.Equal(1, Made(For(Sum + Pod("a", "Succeeded") + Pod("b", "Running"))));
        Assert.Equal(0, Made(For(Sum + Pod("a", "Succeeded") + Pod("b", "Succeeded") + Pod("c", "Running"))));
        var done = PlanText.Print(For(Sum + Pod("a", "Succeeded") + Pod("b", "Succeeded") + Pod("c", "Succeeded")));
        Assert.Contains("type: Complete", done, StringComparison.Ordinal);
        Assert.Contains("completionTime: '2030-01-01T12:00:00Z'", done, StringComparison.Ordinal);
    }

    [Fact]
    public void After_a_failure_it_waits_and_after_too_many_it_ends()
    {
        var waiting = For(Sum + Pod("a", "Failed"));
        Assert.Equal((0, TimeSpan.FromSeconds(10)), (Made(waiting), waiting.Again));
        var failed = For(Sum + Pod("a", "Failed") + Pod("b", "Failed") + Pod("c", "Running"));
        Assert.Contains(failed.Writes, write => write.Verb == WriteVerb.Delete && write.Name == "c");
        Assert.Contains("BackoffLimitExceeded", PlanText.Print(failed), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("*/5 * * * *", "2030-01-01T12:05:00Z")]
    [InlineData("30 2 * * *", "2030-01-02T02:30:00Z")]
    [InlineData("0 0 29 2 *", "2032-02-29T00:00:00Z")]
    [InlineData("0 9 * * mon-fri", "2030-01-02T09:00:00Z")]
    [InlineData("0 0 13 * 5", "2030-01-04T00:00:00Z")]
    [InlineData("@hourly", "2030-01-01T13:00:00Z")]
    [InlineData("0 0 31 2 *", null)]
    [InlineData("61 * * * *", "no schedule")]
    [InlineData("* * * *", "no schedule")]
    public void Schedules_are_read_as_cron_reads_them(string text, string? next)
    {
        var schedule = CronSchedule.Parse(text);
        Assert.Equal(next == "no schedule", schedule is null);
        if (schedule is not null)
            Assert.Equal(next is null ? null : DateTimeOffset.Parse(next, System.Globalization.CultureInfo.InvariantCulture),
                schedule.Next(PlanText.Now, TimeZoneInfo.Utc));
    }

    [Fact]
    public void A_cron_job_starts_what_is_due_once()
    {
        var cron = new CronJob
        {
            Metadata = new() { Name = "tick", Namespace = "shop", Uid = "c1", CreationTimestamp = PlanText.Now.AddMinutes(-3) },
            Spec = new() { Schedule = "* * * * *", JobTemplate = new() { ["spec"] = new System.Text.Json.Nodes.JsonObject { ["parallelism"] = 1 } } },
        };
        var plan = CronJobPlan.For(cron, [], PlanText.Now);
        Assert.Equal("tick-31558320", plan.Writes.Single(write => write.Verb == WriteVerb.Create).Name);
        Assert.Contains("lastScheduleTime: '2030-01-01T12:00:00Z'", PlanText.Print(plan), StringComparison.Ordinal);
        Assert.InRange(plan.Again!.Value.TotalSeconds, 60, 61);
    }

    [Fact]
    public void A_cron_job_tells_once_that_a_job_is_done()
    {
        var job = PlanText.Read<Job>("""
            apiVersion: batch/v1
            kind: Job
            metadata: {name: tick-1, namespace: shop, uid: j1, ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: tick, uid: c1, controller: true}]}
            status: {conditions: [{type: Complete, status: "True"}]}
            """, "Job").Single();
        var cron = PlanText.Read<CronJob>("""
            apiVersion: batch/v1
            kind: CronJob
            metadata: {name: tick, namespace: shop, uid: c1, resourceVersion: "7"}
            spec: {schedule: "0 0 1 1 *"}
            status: {active: [{name: tick-1, namespace: shop, uid: j1}]}
            """, "CronJob").Single();
        var plan = CronJobPlan.For(cron, [job], PlanText.Now);
        Assert.Equal("Saw completed job: tick-1, condition: Complete", plan.Notes.Single().Message);
        // A second decision from the same copy fails at the status, before it records any Event.
        Assert.Equal("7", (string?)plan.Writes.Single().Body!["metadata"]!["resourceVersion"]);
    }

    [Fact]
    public void A_budget_counts_what_may_go()
    {
        Pod[] pods = [Ready("a"), Ready("b"), new() { Metadata = new() { Uid = "c" } }];
        var budget = new PodDisruptionBudget { Spec = new() { MinAvailable = "50%", Selector = new() } };
        var status = DisruptionPlan.For(budget, pods, 3, PlanText.Now).Writes.Single().Body!["status"]!;
        Assert.Equal((2, 2, 0), ((int)status["currentHealthy"]!, (int)status["desiredHealthy"]!, (int)status["disruptionsAllowed"]!));
    }

    private static Pod Ready(string uid) =>
        new() { Metadata = new() { Uid = uid }, Status = new() { Conditions = [new() { Type = "Ready", Status = "True" }] } };

    private static Plan For(string yaml) => JobPlan.For(PlanText.Read<Job>(yaml, "Job").Single(), PlanText.Pods(yaml), PlanText.Now);

    private static int Made(Plan plan) => plan.Writes.Count(write => write is { Verb: WriteVerb.Create, Kind.Kind: "Pod" });

    private static string Pod(string name, string phase) => $$"""
        apiVersion: v1
        kind: Pod
        metadata:
          name: {{name}}
          namespace: shop
          uid: {{name}}
          creationTimestamp: 2030-01-01T12:00:00Z
          labels: {job: sum}
          ownerReferences: [{apiVersion: batch/v1, kind: Job, name: sum, uid: j1, controller: true}]
        status: {phase: {{phase}} }
        ---

        """;
}
