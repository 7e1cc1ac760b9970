using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Traffic;

namespace Isthmus.Proxy.Tcp;

/// <summary>Why a connection is refused.</summary>
internal readonly record struct ConnectionRefusal(EndReason Reason, string Details);

/// <summary>Decides whether a connection may continue, by the policies of its filter chain and the external authorizers among them.</summary>
internal sealed class ConnectionAccess(Authorizers authorizers, AccessCounts counts, ISecretSource secrets, TimeProvider time)
{
    /// <summary>Null when the connection may continue.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<ConnectionRefusal?> CheckAsync(Downstream connection, FilterChainSnapshot chain)
    {
        RequestMetadata? metadata = null;
        var facts = ConnectionRules.Facts(connection);
        foreach (var filter in chain.Access)
        {
            if (filter is RbacFilter rbac)
            {
                if (rbac.Apply(facts, ref metadata, counts) is { IsAllowed: false } verdict) return Denied(verdict);
                facts = facts with { Metadata = metadata };
            }
            else if (filter is UnsupportedFilter unknown) return new(EndReason.DeniedByPolicy, unknown.Details);
            else if (filter is ConnectionLimit limit)
            {
                if (!limit.TryTake(time, counts)) return new(EndReason.RateLimited, "");
            }
            else if (filter is ExternalCheck check && check.IsFor(metadata))
            {
                var own = chain.Tls is { } tls ? secrets.FindCertificate(tls.Certificate)?.Self.Identity ?? "" : "";
                var answer = await authorizers.AskAsync(check, new(facts, time.GetUtcNow(), own)).ConfigureAwait(false);
                if (answer.Outcome == ExternalOutcome.Denied) return new(EndReason.Unauthorized, "ext_authz_denied");
                if (answer.Outcome != ExternalOutcome.Allowed && !check.FailsOpen) return new(EndReason.Unauthorized, "ext_authz_error");
            }
        }
        return null;
    }

    private static ConnectionRefusal Denied(Verdict verdict) =>
        new(EndReason.DeniedByPolicy, $"rbac_access_denied_matched_policy[{(verdict.Rule.Length > 0 ? verdict.Rule : "none")}]");
}
