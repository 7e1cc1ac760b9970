using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose;

/// <summary>A Pod of a control plane that is not ready: where another one serves, a rollout that does not end.</summary>
/// <param name="Since">When it began; null when nobody says it.</param>
/// <param name="Why">What its status says.</param>
/// <param name="Account">Its ServiceAccount.</param>
public sealed record UnreadyControlPlane(string Namespace, string Pod, DateTimeOffset? Since, string Why, string Account)
{
    /// <summary>A new one may need as long for its image and its first lists.</summary>
    private static readonly TimeSpan Start = TimeSpan.FromMinutes(1);

    /// <summary>Whether its account may not list Services, without which it never becomes ready.</summary>
    public bool LacksRights { get; init; }

    /// <summary>The reason in words.</summary>
    public string Reason => LacksRights
        ? $"its ServiceAccount {Namespace}/{Account} may not list Services: its ClusterRole or ClusterRoleBinding is gone, or was changed" : Why;

    /// <summary>Whether it is not just starting.</summary>
    public bool IsStuck(DateTimeOffset now) => now - Since > Start;

    public string Remedy(string context) => LacksRights
        ? $"install again, with the file of this cluster, which makes them: isthmus install -y --context={context} -f FILE (or isthmus mesh up -f FILE)"
        : $"kubectl --context={context} -n {Namespace} describe pod {Pod}; its log: kubectl --context={context} -n {Namespace} logs {Pod}";

    public static UnreadyControlPlane Of(Pod pod)
    {
        var ready = pod.Status.Conditions.Find(condition => condition.Type == "Ready");
        var waiting = pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses).FirstOrDefault(status => status.State.Waiting is not null);
        var scheduled = pod.Status.Conditions.Find(condition => condition is { Type: "PodScheduled", Status: "False" });
        return new(pod.Metadata.Namespace, pod.Metadata.Name, ready?.LastTransitionTime ?? pod.Status.StartTime ?? pod.Metadata.CreationTimestamp,
            scheduled is { Message.Length: > 0 } ? scheduled.Message
                : waiting is { State.Waiting: { } why } ? $"container {waiting.Name} waits: {why.Reason} {why.Message}".TrimEnd()
                : ready is { Message.Length: > 0 } ? ready.Message
                : "its readiness probe fails",
            pod.Spec.ServiceAccountName is { Length: > 0 } account ? account : "default");
    }

    /// <summary>The same with what its account may do, as far as the user may ask.</summary>
    public async Task<UnreadyControlPlane> WithRightsAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            var review = await client.CreateAsync(Kinds.SubjectAccessReview, AccessReview.OfList(Namespace, Account, "", Kinds.Service.Plural, null), stop);
            return this with { LacksRights = !AccessReview.Allows(review) };
        }
        catch (KubeException)
        {
            return this;
        }
    }
}
