using Isthmus.Kubernetes.Client;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Identity;
using Isthmus.Lab.Controllers.Lifecycle;
using Isthmus.Lab.Controllers.Network;
using Isthmus.Lab.Controllers.Nodes;
using Isthmus.Lab.Controllers.Storage;
using Isthmus.Lab.Controllers.Workloads;

namespace Isthmus.Lab.Controllers;

/// <summary>The composition root of a cluster's controllers (the role of kube-controller-manager, kube-scheduler and MetalLB).</summary>
public static class ClusterControllers
{
    /// <summary>Runs all controllers against one API server until stopped. The server may start later, and may go away and
    /// come back.</summary>
    public static async Task RunAsync(KubeClient client, ControllerSettings settings, CancellationToken stop)
    {
        var view = new ClusterView(client, settings.Time);
        var events = new EventRecorder(client, settings.Time, settings.Log);
        var runtime = new Runtime(client, view, events, settings);
        var revisions = view.Watch<Kubernetes.Objects.ControllerRevision>(Kubernetes.Objects.Kinds.ControllerRevision);
        var jobs = view.Watch<Kubernetes.Objects.Job>(Kubernetes.Objects.Kinds.Job);
        Controller[] controllers =
        [
            new Scheduler(runtime), new DeploymentController(runtime), new ReplicaSetController(runtime),
            new EndpointController(runtime), new MirrorController(runtime), new LoadBalancerController(runtime),
            new AccountController(runtime), new TokenSecretController(runtime), new NamespaceController(runtime), new GarbageCollector(runtime),
            new StatefulSetController(runtime, revisions), new DaemonSetController(runtime, revisions),
            new JobController(runtime, jobs), new CronJobController(runtime, jobs), new DisruptionController(runtime), new VolumeClaimController(runtime),
            new NodeLifecycleController(runtime), new TaintEvictionController(runtime),
        ];
        await Task.WhenAll(view.RunAsync(stop), events.RunAsync(stop), StartAsync(view, controllers, settings, stop));
    }

    /// <summary>Starts the controllers only after all lists have synced: half a list looks like a cluster with half of its
    /// Pods.</summary>
    private static async Task StartAsync(ClusterView view, Controller[] controllers, ControllerSettings settings, CancellationToken stop)
    {
        try
        {
            await view.Synced.WaitAsync(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
        settings.Log("controllers: synced with the API server");
        await Task.WhenAll(controllers.Select(controller => controller.RunAsync(stop)));
    }
}
