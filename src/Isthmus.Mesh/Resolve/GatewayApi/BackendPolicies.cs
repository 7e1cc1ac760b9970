using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Which of several policies for a Service applies.</summary>
public static class BackendPolicies
{
    /// <summary>The order of precedence: the oldest policy, then by name.</summary>
    public static IEnumerable<T> Ordered<T>(IEnumerable<T> policies) where T : IBackendPolicy =>
        policies.OrderBy(policy => policy.CreatedAt).ThenBy(policy => policy.Source);

    /// <summary>Whether a target is the Service of a host.</summary>
    public static bool IsOf(ApiReference target, MeshService service) =>
        target is { Group: "", Kind: "Service" } && target.Name == service.Name && target.Namespace == service.Namespace && !service.FromServiceEntry;

    /// <summary>Why a policy does not apply although nothing is wrong with it; null: it does, for some target.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="others">All policies with one of its targets.</param>
    public static ApiFault? Conflict<T>(T policy, IEnumerable<T> others) where T : IBackendPolicy
    {
        var before = Ordered(others).TakeWhile(other => other.Source != policy.Source).SelectMany(other => other.Targets).Select(Place).ToHashSet();
        return !policy.Targets.IsEmpty && policy.Targets.All(target => before.Contains(Place(target)))
            ? new("Conflicted", "an older policy is for the same target") : null;

        static (string, string, string, string) Place(ApiReference target) => (target.Group, target.Kind, target.Name, target.Section);
    }

    /// <summary>The condition <c>Accepted</c>.</summary>
    public static ApiCondition Accepted(ApiFault? fault) =>
        fault is null ? new("Accepted", true, "Accepted", "The policy applies") : new("Accepted", false, fault.Reason, fault.Message);
}
