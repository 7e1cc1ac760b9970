using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Callers that do not show the identity that was meant: their Pods name no service account, or another one than in other clusters.</summary>
internal static class CallerAccounts
{
    private const string Default = "default";

    /// <summary>What shows that the caller was meant to have an account that a rule allows, and what gives it that; null: nothing does.</summary>
    public static (string Says, string Remedy)? Meant(TraceFacts facts, RuleTerm term, CallAttributes call)
    {
        if (facts.Entry is not null || term.Key is not (RuleKeys.Principal or RuleKeys.ServiceAccount) || term.Values.IsEmpty) return null;
        var pod = facts.ClientPod;
        var (own, ns) = (AccountOf(pod.Spec.ServiceAccountName), pod.Metadata.Namespace);
        var within = term.Key == RuleKeys.Principal ? $"{ns}/sa/" : $"{ns}/";
        // What the callee sees may be the identity of somebody in between.
        if (call.Of(term.Key) is not [var shown] || !shown.EndsWith(within + own, StringComparison.Ordinal)) return null;
        var before = shown[..^own.Length];
        var (kind, name) = ServicePods.OwnerOf(pod);
        var isMade = kind == "Pod";
        var workload = isMade ? facts.Client.ToString() : $"{kind} {ns}/{name} in {facts.Home.Context}";
        var field = isMade ? "spec.serviceAccountName" : "spec.template.spec.serviceAccountName";
        foreach (var there in facts.Clusters.Where(cluster => cluster != facts.Home))
            if (AccountsOf(there, ns, kind, name).FirstOrDefault(account => account != own && CallAttributes.Satisfies(term, before + account)) is { } meant)
                return ($"{workload} runs as service account {own}, and that of {there.Context} as {meant}",
                    $"set {field} of {workload} to {meant}, as in {there.Context}");
        if (own != Default) return null;
        var named = term.Values.Where(value => value.StartsWith(before, StringComparison.Ordinal) && !value.Contains('*', StringComparison.Ordinal))
            .Select(value => value[before.Length..]).ToList();
        return named.Count == 0 ? null : ($"{workload} runs as service account {Default}, as Pods do that name none",
            $"set {field} of {workload} to {string.Join(" or ", named)}, if that is its account");
    }

    /// <summary>What widening the rule to the caller's account means, as the end of a sentence.</summary>
    public static string Widened(TraceFacts facts) => AccountOf(facts.ClientPod.Spec.ServiceAccountName) == Default
        ? $", which allows all Pods of namespace {facts.ClientPod.Metadata.Namespace} that name no account" : "";

    /// <summary>The accounts of the workload with a name: of its Pods, and of its template.</summary>
    private static IEnumerable<string> AccountsOf(ClusterObjects cluster, string ns, string kind, string name) =>
        cluster.Pods.Where(pod => pod.Metadata.Namespace == ns && ServicePods.OwnerOf(pod) == (kind, name)).Select(pod => pod.Spec.ServiceAccountName)
            .Concat(cluster.Deployments.Where(one => kind == "Deployment" && one.Metadata.Namespace == ns && one.Metadata.Name == name)
                .Select(one => one.Spec.Template["spec"]?["serviceAccountName"]?.ToString() ?? ""))
            .Select(AccountOf);

    private static string AccountOf(string name) => name.Length > 0 ? name : Default;
}
