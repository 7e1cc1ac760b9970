using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Starts the Jobs of CronJobs when their time comes.</summary>
internal sealed class CronJobController : Controller
{
    private readonly WatchedList<CronJob> _crons;
    private readonly WatchedList<Job> _jobs;

    internal CronJobController(Runtime runtime, WatchedList<Job> jobs) : base("cronjob-controller", runtime)
    {
        _jobs = jobs;
        _crons = View.Watch<CronJob>(Kinds.CronJob).Listen(change =>
        {
            if (change.Object is not null) Enqueue(change.Key);
        });
        _jobs.Listen(change =>
        {
            if ((change.Object ?? change.Before) is { } job && Tree.ControllerOf(job) is { Kind: "CronJob" } owner) Enqueue($"{job.Metadata.Namespace}/{owner.Name}");
        });
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (_crons.Find(key) is not { } cron) return;
        var plan = CronJobPlan.For(cron, _jobs.Items.Where(job => job.Metadata.Namespace == cron.Metadata.Namespace), Runtime.Now);
        foreach (var write in plan.Writes)
        {
            try
            {
                await Runtime.DoAsync(write, stop);
            }
            catch (KubeException e) when (e.IsAlreadyExists)
            {
                // The name says the minute: it was started a moment ago.
            }
        }
        foreach (var note in plan.Notes) Runtime.Record(Name, note);
        if (plan.Again is { } again) EnqueueAfter(key, again);
    }
}
