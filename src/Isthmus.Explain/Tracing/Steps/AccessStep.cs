using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Proxy.Decisions;


namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks whether a proxy lets a call pass: its own filters check the tokens, and its policies decide.</summary>
/// <param name="hop">The hop that fails when they refuse.</param>
/// <param name="view">The proxy.</param>
internal sealed class AccessStep(TraceFacts facts, TraceRecord record, TraceCauses causes, string hop, ProxyView view)
{
    /// <summary>What the proxy learned of the request; null for nothing.</summary>
    public LearnedFacts? Learned { get; private set; }

    /// <summary>The issuers of which the proxy has no keys, as far as it checks tokens.</summary>
    public IReadOnlyList<string> Unkeyed { get; private set; } = [];

    /// <summary>Only the proxy itself can check the token: it fetches the keys.</summary>
    public bool IsUnsure { get; private set; }

    /// <summary>The rule that allows the call; empty when none has to.</summary>
    public string Allowing { get; private set; } = "";

    /// <summary>The gateway whose address the call comes from; empty: it comes from the caller itself.</summary>
    public string Through { get; init; } = "";

    /// <summary>What the request was before; null: nothing is known to have changed it.</summary>
    public RequestChanges? Changes { get; init; }

    /// <summary>Whether an attribute of rules is one that is not known of this call.</summary>
    public Func<string, bool> IsUnknown { get; init; } = static _ => false;

    /// <summary>Whether the call passes. The token of <paramref name="asked"/>'s request may be removed, and its claims become headers.</summary>
    public bool Walk(ChainView chain, PolicyQuestion asked, Callee at)
    {
        var request = asked.Request;
        var checks = new List<TokenFilterView>();
        foreach (var filter in chain.Filters(request, asked.Scheme))
        {
            if (filter is TokenFilterView tokens && request is not null)
            {
                checks.Add(tokens);
                Unkeyed = [.. IssuerKeys.Lacking(checks)];
                var checking = tokens.Check(request, facts.Now);
                IsUnsure |= checking is null;
                if (checking is { Status: not 0 } refused)
                {
                    record.Fail(hop, $"{Of(chain)}refuses the token",
                        causes.Policies.KeysLacking(at, tokens, refused) ?? causes.Policies.TokenRefused(at, tokens, refused, request));
                    return false;
                }
                Learned = checking?.Learned ?? Learned;
            }
            if (filter is LackedFilterView lacked && !LackedFilters.Pass(record, hop, view, $"{at.Name}", chain.Name, lacked.Name)) return false;
            // Only the call itself can tell what an external authorizer decides.
            if (filter is not PolicyFilterView policy) continue;
            var verdict = policy.Decide(asked, Learned);
            if (verdict.IsAllowed && verdict.Rule.Length > 0) Allowing = PolicyCauses.Describe(verdict.Rule);
            if (verdict.IsAllowed) continue;
            if (IsUnsure)
            {
                record.Add("policy", HopStatus.Unknown, $"{Of(chain)}decides by a token whose keys only the proxy of {at.Name} can fetch", null);
                continue;
            }
            if (causes.Policies.Undecided(at, verdict.Rule, IsUnknown) is { } undecided)
            {
                record.Add("policy", HopStatus.Unknown, $"{Of(chain)}{undecided}", null);
                continue;
            }
            record.Fail(hop, $"{Of(chain)}denied",
                causes.Policies.Denied(at, verdict.Rule, new(asked.Identity, request, asked.Source, at.Address, asked.ServerName, Learned)
                {
                    Through = Through, Changes = Changes, Unkeyed = Unkeyed,
                }));
            return false;
        }
        // Of what ends a chain in such a filter, nothing more is known.
        return !chain.IsLacking;
    }

    /// <summary>The only chain of a listener may have no name.</summary>
    internal static string Of(ChainView chain) => chain.Name.Length > 0 ? $"{chain.Name}: " : "";
}
