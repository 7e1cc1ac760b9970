namespace Isthmus.Lab.Nodes.Pods;

/// <summary>How far a Pod has come. A stage never comes back.</summary>
internal enum PodStage
{
    /// <summary>What an earlier node left of it is not yet known.</summary>
    New,

    /// <summary>Its containers run as <see cref="PodPlan"/> says.</summary>
    Running,

    /// <summary>It is ending; Services may still send to it.</summary>
    Leaving,

    /// <summary>Its containers are being stopped.</summary>
    Stopping,

    /// <summary>Nothing of it runs; its object shows the outcome.</summary>
    Completed,

    /// <summary>Nothing of it is left on this node.</summary>
    Removed,
}

/// <summary>What is wanted of a Pod.</summary>
internal enum PodGoal
{
    Run,

    /// <summary>It has run longer than its active deadline: its containers stop, its object stays.</summary>
    Fail,

    /// <summary>Its object is being deleted: its containers stop within their grace, then the object goes.</summary>
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
