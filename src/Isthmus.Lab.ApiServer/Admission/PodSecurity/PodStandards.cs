using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.PodSecurity;

/// <summary>What is wrong with a Pod, in the words of an API server.</summary>
/// <param name="Reason">In short.</param>
/// <param name="Detail">Who sets what.</param>
internal sealed record SecurityViolation(string Reason, string Detail);

/// <summary>A rule of the Pod Security Standards.</summary>
/// <param name="Since">The first minor version with it.</param>
/// <param name="Find">What violates it; null: nothing does.</param>
internal sealed record SecurityRule(string Name, int Since, Func<CheckedPod, int, SecurityViolation?> Find)
{
    /// <summary>The rule of the level below that it takes the place of.</summary>
    public string Replaces { get; init; } = "";
}

/// <summary>The Pod Security Standards of Kubernetes: which Pods a level permits. Pure.</summary>
internal static class PodStandards
{
    /// <summary>What violates a policy, in the order in which API servers tell it; empty: nothing does.</summary>
    /// <param name="policy">A later version than that of this server counts as its own.</param>
    public static IReadOnlyList<SecurityViolation> Violations(SecurityPolicy policy, CheckedPod pod)
    {
        if (policy.Level == SecurityLevel.Privileged) return [];
        var minor = Math.Min(policy.Minor ?? SecurityRules.Latest, SecurityRules.Latest);
        var restricted = policy.Level == SecurityLevel.Restricted ? SecurityRules.Restricted.Where(rule => rule.Since <= minor).ToList() : [];
        return
        [
            .. SecurityRules.Baseline.Where(rule => rule.Since <= minor && !restricted.Exists(other => other.Replaces == rule.Name)).Concat(restricted)
                .Select(rule => rule.Find(pod, minor)).OfType<SecurityViolation>(),
        ];
    }

    /// <summary>Of several: <c>REASON (DETAIL), REASON (DETAIL)</c>.</summary>
    public static string Details(IReadOnlyList<SecurityViolation> violations) =>
        string.Join(", ", violations.Select(one => one.Detail.Length > 0 ? $"{one.Reason} ({one.Detail})" : one.Reason));
}
