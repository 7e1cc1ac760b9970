using System.Text.Json.Nodes;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tokens;
using Isthmus.Wire.Envoy.Rbac;

namespace Isthmus.Proxy.Policy;

/// <summary>A network filter that may refuse a connection. They run in their order.</summary>
internal abstract class AccessFilter;

/// <summary>A filter of a chain that this proxy does not have. Who may call could depend on it, so that nobody may.</summary>
internal sealed class UnsupportedFilter(string name) : AccessFilter
{
    private const string Before = "unsupported_filter[";

    public string Name => name;

    /// <summary>For logs, as those of other filters.</summary>
    public string Details => DetailsOf(name);

    public static string DetailsOf(string filter) => $"{Before}{filter}]";

    /// <summary>The name of the filter; null if the details are not those of such a filter.</summary>
    public static string? NameIn(string details) =>
        details.StartsWith(Before, StringComparison.Ordinal) && details.EndsWith(']') ? details[Before.Length..^1] : null;
}

/// <summary>An rbac filter: rules that are enforced, and rules whose results are only counted, and kept for later filters and logs.</summary>
internal sealed class RbacFilter : AccessFilter
{
    /// <summary>Allows nobody.</summary>
    public static readonly RbacFilter Nobody = new(new RBAC(), null, "", "", "");

    private const string CommonSpace = "envoy.common";
    private const string LogHint = "access_log_hint";

    private readonly RbacPolicy? _rules;
    private readonly RbacPolicy? _shadow;
    private readonly string _space;
    private readonly string _idKey;
    private readonly string _resultKey;
    private readonly (string Allowed, string Denied) _counted;
    private readonly (string Allowed, string Denied) _shadowCounted;

    /// <param name="space">Where shadow results are kept: the name of the filter.</param>
    /// <param name="stats">What the names of the counters begin with.</param>
    /// <param name="shadowPrefix">Distinguishes the shadow results of several filters.</param>
    /// <exception cref="Snapshot.ResourceException">A rule that this proxy cannot evaluate.</exception>
    public RbacFilter(RBAC? rules, RBAC? shadow, string space, string stats, string shadowPrefix)
    {
        (_rules, _shadow, _space) = (RbacPolicy.From(rules), RbacPolicy.From(shadow), space);
        (_idKey, _resultKey) = ($"{shadowPrefix}shadow_effective_policy_id", $"{shadowPrefix}shadow_engine_result");
        _counted = Names($"{stats}rbac.", "");
        _shadowCounted = Names($"{stats}rbac.{shadowPrefix}", "shadow_");
    }

    private static (string, string) Names(string before, string kind) =>
        (AccessStats.Rbac.Name(before, $"{kind}allowed"), AccessStats.Rbac.Name(before, $"{kind}denied"));

    /// <summary>What the enforced rules decide.</summary>
    public Verdict Decide(in PolicyFacts facts) => _rules?.Decide(facts) ?? new(true, "");

    /// <summary>Decides, counts, and keeps what is only observed.</summary>
    /// <param name="metadata">What filters learned so far; made when there is something to keep.</param>
    public Verdict Apply(in PolicyFacts facts, ref RequestMetadata? metadata, AccessCounts counts)
    {
        if (_shadow is not null) Observe(_shadow, facts, metadata ??= new(), counts);
        if (_rules is null) return new(true, "");
        var verdict = _rules.Decide(facts);
        if (_rules.OnlyLogs) (metadata ??= new()).Put(CommonSpace, LogHint, JsonValue.Create(verdict.Rule.Length > 0));
        counts.Add(verdict.IsAllowed ? _counted.Allowed : _counted.Denied);
        return verdict;
    }

    private void Observe(RbacPolicy shadow, in PolicyFacts facts, RequestMetadata metadata, AccessCounts counts)
    {
        var verdict = shadow.Decide(facts);
        if (verdict.Rule.Length > 0) metadata.Put(_space, _idKey, JsonValue.Create(verdict.Rule));
        metadata.Put(_space, _resultKey, JsonValue.Create(verdict.IsAllowed ? "allowed" : "denied"));
        counts.Add(verdict.IsAllowed ? _shadowCounted.Allowed : _shadowCounted.Denied);
    }
}
