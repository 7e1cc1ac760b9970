using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Filters;

/// <summary>An rbac filter of HTTP.</summary>
internal sealed class PolicyFilter(string name, RbacFilter rules) : RequestFilter(name)
{
    /// <summary>Allows nobody.</summary>
    public static readonly PolicyFilter Nobody = new("", RbacFilter.Nobody);

    private static readonly byte[] Text = "RBAC: access denied"u8.ToArray();

    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<RBAC>("envoy.filters.http.rbac", (rbac, from) => new PolicyFilter(from.Name,
        new(rbac.Rules, rbac.ShadowRules, "envoy.filters.http.rbac", from.Stats, rbac.ShadowRulesStatPrefix)));

    public override FilterSteps Steps => FilterSteps.Request;

    public RbacFilter Rules => rules;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        var metadata = request.Metadata;
        var verdict = rules.Apply(request.Facts, ref metadata, request.Ports.Counts);
        request.Metadata = metadata;
        return verdict.IsAllowed ? default : new(request.Refuse(
            new(403, Text, $"rbac_access_denied_matched_policy[{(verdict.Rule.Length > 0 ? verdict.Rule : "none")}]", EndReason.DeniedByPolicy)));
    }
}
