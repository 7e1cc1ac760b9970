namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The stages of a Pod. A Pod never returns to an earlier stage.</summary>
internal enum PodStage
{
    /// <summary>The node has not checked yet what an earlier node left of it.</summary>
    New,

    /// <summary>Its containers run as <see cref="PodPlan"/> decides.</summary>
    Running,

    /// <summary>It is terminating; Services may still send traffic to it.</summary>
    Leaving,

    /// <summary>Its containers are being stopped.</summary>
    Stopping,

    /// <summary>Nothing of it runs; its object shows the outcome.</summary>
    Completed,

    /// <summary>Nothing of it is left on this node.</summary>
    Removed,
}

/// <summary>The goal for a Pod.</summary>
internal enum PodGoal
{
    Run,

    /// <summary>It has run longer than its active deadline: its containers stop, its object stays.</summary>
    Fail,

    /// <summary>Its object is being deleted: its containers stop within their grace period, then the object is
    /// removed.</summary>
    Remove,

    /// <summary>Its object is gone: everything ends at once.</summary>
    Discard,
}

/// <summary>What a Pod's worker does next.</summary>
internal enum PodAction { Adopt, Run, Leave, Stop, Complete, Remove, Wait }

/// <summary>The state machine of one Pod: from its stage, its goal and whether containers run to the next action.</summary>
internal static class PodLifecycle
{
    internal static PodAction Decide(PodStage stage, PodGoal goal, bool anyRunning) => stage switch
    {
        PodStage.New => PodAction.Adopt,
        PodStage.Removed => PodAction.Wait,
        PodStage.Completed when goal < PodGoal.Remove => PodAction.Wait,
        PodStage.Completed => anyRunning ? PodAction.Stop : PodAction.Remove,
        PodStage.Running when goal == PodGoal.Run => PodAction.Run,
        _ when !anyRunning => PodAction.Complete,
        PodStage.Running when goal < PodGoal.Discard => PodAction.Leave,
        PodStage.Leaving when goal < PodGoal.Discard => PodAction.Wait,
        _ => PodAction.Stop,
    };
}
