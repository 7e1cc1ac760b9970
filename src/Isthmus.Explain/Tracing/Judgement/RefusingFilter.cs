using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Steps;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>Which filter of a proxy answered a request instead of the application, as the proxy's flags and details say.</summary>
internal static class RefusingFilter
{
    /// <summary>What is said where nobody counts.</summary>
    public const string NoLimiter = "gets no answer from the rate limit service";

    private const string Filters = "envoy.filters.http.", Token = "jwt_authn_access_denied";

    /// <param name="at">The Pod of the proxy.</param>
    /// <returns>Null: no filter did.</returns>
    public static Problem? Find(string at, string flags, string details)
    {
        if (LackedFilterView.NameIn(details) is { } lacked) return LackedFilters.Problem(at, lacked);
        if (details.Contains("low_version", StringComparison.Ordinal)) return OldProtocol.Refused(at);
        var told = flags.Split(',');
        if (told.Contains("RL")) return Limit(at, details);
        if (told.Contains("RLSE"))
        {
            return Faults.Of("ISM2094", at, $"{Filters}ratelimit", $"its proxy {NoLimiter}, and failure_mode_deny is set",
                "start the rate limit service, or let calls pass without it (failure_mode_deny: false)");
        }
        if (told.Contains("UAEX") && details.Contains("ext_authz", StringComparison.Ordinal)) return Authorizer(at, details);
        if (details.Contains("request_payload_too_large", StringComparison.Ordinal))
        {
            return Faults.Of("ISM2094", at, $"{Filters}ext_authz",
                "the body of the request is larger than what its proxy keeps for the external authorizer, so that it answers 413 (request_payload_too_large)",
                "raise includeRequestBodyInCheck.maxRequestBytes of the provider in meshConfig.extensionProviders, or set allowPartialMessage: true there");
        }
        if (told.Contains("UAEX") && details.Contains(Token, StringComparison.Ordinal)) return Refused(at, details);
        if (told.Contains("FI") && details.Contains("fault_filter", StringComparison.Ordinal))
        {
            return Faults.Of("ISM2094", at, $"{Filters}fault", "a fault that is injected in its proxy aborts the call (fault_filter_abort)",
                "remove the fault: from the VirtualService of the host, or from the EnvoyFilter that adds it");
        }
        if (!told.Contains("UO") || !details.Contains("overflow", StringComparison.Ordinal)) return null;
        return Faults.Of("ISM2079", at, "", "the limits of its proxy refuse the call: as many connections or requests as they allow are in use (UO)",
            "raise connectionPool in the DestinationRule of the host or inboundConnectionPool of the Sidecar, or add Pods");
    }

    private static Problem Limit(string at, string details) => details.Contains("local_rate_limited", StringComparison.Ordinal)
        ? Faults.Of("ISM2094", at, $"{Filters}local_ratelimit",
            "its proxy's local rate limit refuses the call: the bucket of tokens is empty (local_rate_limited)",
            "call less often, or raise token_bucket in the EnvoyFilter that sets the limit")
        : Faults.Of("ISM2094", at, $"{Filters}ratelimit",
            "the rate limit service refuses the call at its proxy: more calls have come than it allows (request_rate_limited)",
            "call less often, or raise the limit in the configuration of the rate limit service");

    private static Problem Authorizer(string at, string details) => details.Contains("ext_authz_error", StringComparison.Ordinal)
        ? Faults.Of("ISM2094", at, $"{Filters}ext_authz", "its proxy gets no answer from the external authorizer (ext_authz_error)",
            "start the provider that the AuthorizationPolicy with action CUSTOM names, or correct its service, port or timeout in "
                + "meshConfig.extensionProviders; a trace from this Pod to the service of the provider shows what keeps the check from it")
        : Faults.Of("ISM2094", at, $"{Filters}ext_authz", "the external authorizer of its proxy denies the call (ext_authz_denied)",
            "see the log of the provider that the AuthorizationPolicy with action CUSTOM names");

    /// <summary>Keys that the proxy fetches itself are known to nobody else, so that only the call shows that they are lacking.</summary>
    private static Problem Refused(string at, string details) => details.Contains("Jwks", StringComparison.Ordinal)
        ? Faults.Of("ISM2096", at, $"{Filters}jwt_authn",
            $"its proxy has no keys of the token's issuer, because it cannot fetch them: every token of the issuer is refused ({details})",
            "let what the field jwksUri of the RequestAuthentication names serve a set of keys, or put the keys into jwks; the log of the proxy says what is "
                + "wrong: grep 'No keys of'")
        : Faults.Of("ISM2082", at, $"{Filters}jwt_authn", $"its proxy refuses the token of the request ({details})",
            "send a valid token of an issuer that the RequestAuthentication lists, or none");
}
