using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Rolls out Deployments, with one ReplicaSet for each Pod template.</summary>
internal sealed class DeploymentController : Controller
{
    internal DeploymentController(Runtime runtime) : base("deployment-controller", runtime)
    {
        View.Deployments.Listen(change =>
        {
            if (change.Object is not null) Enqueue(change.Key);
        });
        View.ReplicaSets.Listen(change =>
        {
            foreach (var set in (ReplicaSet?[])[change.Object, change.Before])
            {
                if (set is null) continue;
                if (Tree.ControllerOf(set) is { Kind: "Deployment" } owner) Enqueue($"{set.Metadata.Namespace}/{owner.Name}");
                else if (Tree.ControllerOf(set) is null) EnqueueThoseThatSelect(set);
            }
        });
        // Recreate waits until the last old Pod is gone.
        View.Pods.Listen(change =>
        {
            if (change is { Object: null, Before: { } gone } && Tree.ControllerOf(gone) is { Kind: "ReplicaSet" } owner
                && View.ReplicaSets.Find($"{gone.Metadata.Namespace}/{owner.Name}") is { } set && Tree.ControllerOf(set) is { } deployment)
                Enqueue($"{gone.Metadata.Namespace}/{deployment.Name}");
        });
    }

    private void EnqueueThoseThatSelect(ReplicaSet set)
    {
        foreach (var deployment in View.Deployments.Items)
            if (deployment.Metadata.Namespace == set.Metadata.Namespace && deployment.Spec.Selector.Matches(set.Metadata.Labels)) Enqueue(deployment.Key);
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.Deployments.Find(key) is not { } deployment) return;
        var sets = View.ReplicaSetsByNamespace[deployment.Metadata.Namespace].ToList();
        var plan = DeploymentPlan.For(deployment, sets, OldPodsRun(deployment, sets), Runtime.Now);
        foreach (var write in plan.Writes)
        {
            if (write is { Verb: WriteVerb.Create, Kind.Kind: "ReplicaSet" })
            {
                if (!await CreateSetAsync(deployment, write, stop)) return;
            }
            else await Runtime.DoAsync(write, stop);
        }
        foreach (var note in plan.Notes) Runtime.Record(Name, note);
        if (plan.Again is { } again) EnqueueAfter(key, again);
    }

    /// <summary>False when a ReplicaSet with another template has the name: the next round uses another hash.</summary>
    private async Task<bool> CreateSetAsync(Deployment deployment, Write write, CancellationToken stop)
    {
        try
        {
            await Runtime.DoAsync(write, stop);
            return true;
        }
        catch (KubeException taken) when (taken.IsAlreadyExists)
        {
            var present = await Runtime.Client.FindAsync<ReplicaSet>(Kinds.ReplicaSet, write.Namespace, write.Name, stop);
            if (present is not null && Tree.ControllerOf(present)?.Uid == deployment.Metadata.Uid
                && PodTemplates.Same(present.Spec.Template, deployment.Spec.Template)) return true; // It is ours, but not in the list yet.
            var collisions = (deployment.Status.CollisionCount ?? 0) + 1;
            await Runtime.DoAsync(Write.Status(Kinds.Deployment, deployment, new JsonObject { ["collisionCount"] = collisions }), stop);
            return false;
        }
        catch (KubeException e)
        {
            Runtime.Record(Name,
                Note.Warning(Kinds.Deployment, deployment, "ReplicaSetCreateError", $"Failed to create new replica set \"{write.Name}\": {e.Message}"));
            throw;
        }
    }

    private bool OldPodsRun(Deployment deployment, List<ReplicaSet> sets) => deployment.Spec.Strategy.Type == "Recreate" && sets.Any(set =>
        Tree.ControllerOf(set)?.Uid == deployment.Metadata.Uid && !PodTemplates.Same(set.Spec.Template, deployment.Spec.Template)
        && View.PodsByOwner[set.Metadata.Uid].Any(pod => !PodStates.IsFinished(pod)));
}
