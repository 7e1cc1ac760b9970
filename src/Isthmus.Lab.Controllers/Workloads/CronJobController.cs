using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Starts the Jobs of CronJobs when they are due.</summary>
internal sealed class CronJobController : Controller
{
    private static readonly TimeSpan CatchUp = TimeSpan.FromMilliseconds(200);

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
            if ((change.Object ?? change.Before) is { } job && Tree.ControllerOf(job) is { Kind: "CronJob" } owner)
                Enqueue($"{job.Metadata.Namespace}/{owner.Name}");
        });
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (_crons.Find(key) is not { } cron) return;
        var plan = CronJobPlan.For(cron, _jobs.Items.Where(job => job.Metadata.Namespace == cron.Metadata.Namespace), Runtime.Now);
        try
        {
            await DoAsync(key, plan, stop);
        }
        catch (KubeException e) when (e.IsConflict || e.IsAlreadyExists)
        {
            // The decision is based on an older copy. The watch will deliver what has changed since (a Job's name contains
            // its minute).
            EnqueueAfter(key, CatchUp);
        }
    }
}
