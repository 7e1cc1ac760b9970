using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tokens;

namespace Isthmus.Explain.Tracing;

/// <summary>Checks whether a proxy lets a call pass: its own filters check the tokens, and its policies decide.</summary>
/// <param name="hop">The hop that fails when they refuse.</param>
/// <param name="view">The proxy.</param>
internal sealed class AccessStep(TraceFacts facts, TraceRecord record, Causes causes, string hop, ProxyView view)
{
    /// <summary>What the proxy learned of the request; null for nothing.</summary>
    public RequestMetadata? Learned { get; private set; }

    /// <summary>Only the proxy itself can check the token: it fetches the keys.</summary>
    public bool IsUnsure { get; private set; }

    /// <summary>The rule that allows the call; empty when none has to.</summary>
    public string Allowing { get; private set; } = "";

    /// <summary>The gateway whose address the call comes from; empty: it comes from the caller itself.</summary>
    public string Through { get; init; } = "";

    /// <summary>Whether an attribute of rules is one that is not known of this call.</summary>
    public Func<string, bool> IsUnknown { get; init; } = static _ => false;

    /// <summary>Whether the call passes. The token of <paramref name="asked"/>'s request may be removed, and its claims become headers.</summary>
    public bool Walk(FilterChainSnapshot chain, PolicyFacts asked, Callee at)
    {
        var request = asked.Request;
        var ofRequests = chain.Action is HttpAction http ? http.Running(request is null ? null : view.FirstRoute(http, request, asked.Scheme)) : [];
        foreach (var filter in chain.Access.Concat(ofRequests))
        {
            if (filter is TokenFilter tokens && request is not null)
            {
                var checking = Check(tokens, request);
                IsUnsure |= checking is null;
                if (checking is { Status: not 0 } refused)
                {
                    record.Fail(hop, $"{chain.Name}: refuses the token",
                        causes.Policies.KeysLacking(at, tokens.Check, refused) ?? causes.Policies.TokenRefused(at, refused, request));
                    return false;
                }
                Learned = checking?.Metadata ?? Learned;
            }
            if (filter is UnsupportedFilter lacked && !LackedFilters.Pass(record, hop, view, $"{at.Name}", chain.Name, lacked.Name)) return false;
            // Only the call itself can tell what an external authorizer decides.
            if (filter is not RbacFilter policy) continue;
            var verdict = policy.Decide(asked with { Metadata = Learned });
            if (verdict.IsAllowed && verdict.Rule.Length > 0) Allowing = PolicyCauses.Describe(verdict.Rule);
            if (verdict.IsAllowed) continue;
            if (IsUnsure)
            {
                record.Add("policy", HopStatus.Unknown, $"{chain.Name}: decides by a token whose keys only the proxy of {at.Name} can fetch", null);
                continue;
            }
            if (causes.Policies.Keys(at, verdict.Rule).FirstOrDefault(IsUnknown) is { } unknown)
            {
                record.Add("policy", HopStatus.Unknown, $"{chain.Name}: decides by {unknown}, which only the call itself shows", null);
                continue;
            }
            record.Fail(hop, $"{chain.Name}: denied",
                causes.Policies.Denied(at, verdict.Rule, new(asked.Peer?.Identity ?? "", request, asked.Source, at.Address, asked.ServerName, Learned)
                {
                    Through = Through,
                }));
            return false;
        }
        // Of what ends a chain in such a filter, nothing more is known.
        return chain.Action is not UnsupportedAction;
    }

    /// <summary>Checks the token of a request with the keys that are in the configuration. Only the proxy itself can fetch keys.</summary>
    private TokenVerdict? Check(TokenFilter filter, RequestHead request)
    {
        var lacksKeys = false;
        var deciding = filter.Check.DecideAsync(request, "http", (_, _) =>
        {
            lacksKeys = true;
            return ValueTask.FromResult<JsonWebKeys?>(null);
        }, facts.Now).AsTask();
        return deciding.IsCompletedSuccessfully && !lacksKeys ? deciding.Result : null;
    }
}
