using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Isthmus.Injection;

/// <summary>The workload that a Pod belongs to.</summary>
public sealed partial record WorkloadOwner(string Kind, string ApiVersion, string Name)
{
    /// <summary>What stands behind the controller of a Pod: the Deployment (or Rollout, DeploymentConfig, CronJob) that made it; otherwise the controller
    /// itself, or the Pod when it has none.</summary>
    public static WorkloadOwner Of(JsonObject pod)
    {
        var name = pod["metadata"]?["name"]?.ToString() ?? pod["metadata"]?["generateName"]?.ToString().TrimEnd('-') ?? "";
        var controller = (pod["metadata"]?["ownerReferences"] as JsonArray)?.OfType<JsonObject>()
            .FirstOrDefault(candidate => (bool?)candidate["controller"] ?? false);
        if (controller is null) return new("Pod", "v1", name);
        var owner = new WorkloadOwner(controller["kind"]?.ToString() ?? "", controller["apiVersion"]?.ToString() ?? "", controller["name"]?.ToString() ?? "");
        return owner.Kind switch
        {
            "ReplicaSet" when Template("pod-template-hash") is { } deployment => owner with { Kind = "Deployment", Name = deployment },
            "ReplicaSet" when Template("rollouts-pod-template-hash") is { } rollout => owner with { Kind = "Rollout", Name = rollout },
            "ReplicationController" when Label("deploymentconfig") is { } config => owner with { Kind = "DeploymentConfig", Name = config },
            // The CronJob controller adds the minute since 1970.
            "Job" when ScheduledName().Match(owner.Name) is { Success: true } scheduled => owner with { Kind = "CronJob", Name = scheduled.Groups[1].Value },
            _ => owner,
        };

        string? Label(string label) => pod["metadata"]?["labels"]?[label]?.ToString() is { Length: > 0 } value ? value : null;

        string? Template(string label) =>
            Label(label) is { } hash && owner.Name.EndsWith($"-{hash}", StringComparison.Ordinal) ? owner.Name[..^(hash.Length + 1)] : null;
    }

    [GeneratedRegex("^(.+)-[0-9]{8,10}$", RegexOptions.CultureInvariant)]
    private static partial Regex ScheduledName();
}
