using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>The states of a Pod that controllers distinguish.</summary>
internal static class PodStates
{
    /// <summary>Neither finished nor terminating.</summary>
    internal static bool IsActive(Pod pod) => pod.Status.Phase is not ("Succeeded" or "Failed") && pod.Metadata.DeletionTimestamp is null;

    internal static bool IsFinished(Pod pod) => pod.Status.Phase is "Succeeded" or "Failed";

    internal static DateTimeOffset? ReadySince(Pod pod)
    {
        foreach (var condition in pod.Status.Conditions)
            if (condition is { Type: "Ready", Status: "True" }) return condition.LastTransitionTime ?? DateTimeOffset.UnixEpoch;
        return null;
    }

    /// <summary>Ready for at least this long.</summary>
    internal static bool IsAvailable(Pod pod, int minReadySeconds, DateTimeOffset now) =>
        ReadySince(pod) is { } since && (minReadySeconds == 0 || since.AddSeconds(minReadySeconds) <= now);

    /// <summary>How long until a ready Pod counts as available; null when waiting does not help.</summary>
    internal static TimeSpan? UntilAvailable(IEnumerable<Pod> pods, int minReadySeconds, DateTimeOffset now)
    {
        if (minReadySeconds == 0) return null;
        TimeSpan? soonest = null;
        foreach (var pod in pods)
        {
            if (ReadySince(pod) is not { } since || since.AddSeconds(minReadySeconds) <= now) continue;
            var wait = since.AddSeconds(minReadySeconds) - now;
            if (soonest is null || wait < soonest) soonest = wait;
        }
        return soonest;
    }

    /// <summary>Whether the Pod tolerates the taint.</summary>
    internal static bool Tolerates(PodSpec pod, Taint taint) => pod.Tolerations.Any(toleration => Tolerates(toleration, taint));

    internal static bool Tolerates(Toleration toleration, Taint taint)
    {
        if (toleration.Effect.Length > 0 && toleration.Effect != taint.Effect) return false;
        if (toleration.Key.Length > 0 && toleration.Key != taint.Key) return false;
        return toleration.Operator == "Exists" || (toleration.Key.Length > 0 && toleration.Value == taint.Value);
    }
}
