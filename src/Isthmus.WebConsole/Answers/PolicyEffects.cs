using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.WebConsole.Answers;

/// <summary>What DestinationRules and policies do to calls of a service. Pure.</summary>
internal static class PolicyEffects
{
    public static RuleEffect Of(DestinationRule rule, RuleSubject subject)
    {
        var callers = subject.CallersOf(rule);
        if (!subject.IsHost(rule.Host) || callers is { IsEmpty: true }) return RuleEffect.None;
        var settings = string.Join(", ", Settings(rule));
        var of = rule.WorkloadSelector.Count > 0 ? $", for calls from some Pods of namespace {rule.Namespace}"
            : callers is null ? "" : $", for calls {RoutedCalls.TextOf(callers)}";
        return new($"sets {(settings.Length > 0 ? settings : "nothing")}{of}") { Refusal = subject.RefusalOf(rule.Namespace) };
    }

    /// <summary>One of the root namespace that selects Pods is for Pods of that namespace only.</summary>
    public static RuleEffect Of(PeerAuthentication policy, RuleSubject subject)
    {
        var isOfMesh = policy.Namespace == subject.Settings.RootNamespace && policy.Selector.Count == 0;
        if ((policy.Namespace != subject.Namespace && !isOfMesh) || !subject.IsSelectedBy(policy.Selector)) return RuleEffect.None;
        var scope = subject.ScopeOf(policy.Namespace, policy.Selector);
        var isInherited = policy.Mode == MtlsMode.Unset;
        return new($"mutual TLS {(isInherited ? "as inherited" : policy.Mode.ToString().ToUpperInvariant())}{TextOf(scope)}")
        {
            DecidesMode = isInherited ? null : scope,
        };
    }

    /// <param name="isInForce">Whether it has no errors that keep it from applying.</param>
    public static RuleEffect Of(RequestAuthentication policy, bool isInForce, RuleSubject subject) => Of(policy, isInForce, subject,
        $"tokens of {string.Join(", ", policy.Rules.Select(rule => rule.Issuer))}");

    /// <param name="isInForce">Whether it has no errors that keep it from applying.</param>
    public static RuleEffect Of(AuthorizationPolicy policy, bool isInForce, RuleSubject subject) => Of(policy, isInForce, subject,
        $"{policy.Action.ToString().ToUpperInvariant()}, {policy.Rules.Count} rules");

    private static RuleEffect Of(IWorkloadPolicy policy, bool isInForce, RuleSubject subject, string does)
    {
        var isForIt = policy.Reaches(subject.Namespace, subject.Settings.RootNamespace) && (subject.IsSelectedBy(policy.Selector)
            // A target that cannot be one, and so is an error, may be the Service itself.
            || (!isInForce && policy.Selector.Gateways.Contains(GatewayNaming.LabelOf(subject.Name))));
        return isForIt ? new($"{does}{TextOf(subject.ScopeOf(policy.Source.Namespace, policy.Selector))}") : RuleEffect.None;
    }

    private static string TextOf(RuleScope scope) => scope switch
    {
        RuleScope.Pods => ", for some Pods",
        RuleScope.Namespace => ", for the namespace",
        _ => ", for the mesh",
    };

    /// <summary>In the order in which API servers return the fields.</summary>
    private static IEnumerable<string> Settings(DestinationRule rule)
    {
        var policy = rule.Policy;
        if (policy.Pool is not null) yield return "connectionPool";
        if (policy.Balancing is not null) yield return "loadBalancer";
        if (policy.Outlier is not null) yield return "outlierDetection";
        if (!policy.Ports.IsEmpty) yield return "portLevelSettings";
        if (policy.ProxyProtocol is not null) yield return "proxyProtocol";
        if (policy.RetryBudget is not null) yield return "retryBudget";
        if (policy.Tls is { } tls) yield return $"tls {tls.ModeText}";
        if (policy.Tunnel is not null) yield return "tunnel";
        if (!rule.Subsets.IsEmpty) yield return $"subsets {string.Join(", ", rule.Subsets.Select(subset => subset.Name))}";
    }
}
