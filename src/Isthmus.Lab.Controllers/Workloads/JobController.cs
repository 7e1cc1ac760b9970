using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Runs the Pods of Jobs to completion.</summary>
internal sealed class JobController : Controller
{
    private readonly WatchedList<Job> _jobs;
    private readonly PodWriter _pods;

    internal JobController(Runtime runtime, WatchedList<Job> jobs) : base("job-controller", runtime)
    {
        _pods = new(runtime, Name);
        _jobs = jobs;
        _jobs.Listen(change =>
        {
            if (change.Object is null) _pods.Forget(change.Key);
            else Enqueue(change.Key);
        });
        EnqueueOwnersOfPods("Job");
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (_jobs.Find(key) is not { } job) return;
        if (!_pods.Settled(key))
        {
            EnqueueAfter(key, Expectations.Patience);
            return;
        }
        var plan = JobPlan.For(job, View.PodsByNamespace[job.Metadata.Namespace], Runtime.Now);
        await _pods.DoAsync(Kinds.Job, job, plan, stop);
        if (plan.Again is { } again) EnqueueAfter(key, again);
    }
}
