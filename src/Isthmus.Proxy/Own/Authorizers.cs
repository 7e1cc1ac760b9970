using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Own;

/// <summary>Asks external authorizers, and counts their answers.</summary>
internal sealed class Authorizers(OwnRequests requests, AccessCounts counts)
{
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<ExternalAnswer> AskAsync(ExternalCheck check, CheckedCall call)
    {
        var authorizer = call.Route?.Authorizer ?? check.Authorizer;
        var (head, body) = authorizer.IsGrpc ? GrpcAuthorizer.Request(authorizer, check, call) : HttpAuthorizer.Request(authorizer, check, call);
        var response = await requests.SendAsync(authorizer.Cluster, head, body, authorizer.Patience).ConfigureAwait(false);
        var answer = response.Failure switch
        {
            OwnFailure.None => authorizer.IsGrpc ? GrpcAuthorizer.Read(response) : HttpAuthorizer.Read(authorizer, response),
            OwnFailure.TimedOut => new(ExternalOutcome.TimedOut),
            _ => new(ExternalOutcome.Failed),
        };
        Count(check, answer.Outcome);
        return answer;
    }

    private void Count(ExternalCheck check, ExternalOutcome outcome)
    {
        if (outcome is ExternalOutcome.Allowed or ExternalOutcome.Denied)
        {
            Add(outcome == ExternalOutcome.Allowed ? "ok" : "denied");
            return;
        }
        Add("error");
        if (outcome == ExternalOutcome.TimedOut) Add("timeout");
        if (check.FailsOpen) Add("failure_mode_allowed");

        void Add(string end) => counts.Add(AccessStats.ExternalAuthorizer.Name(check.Stats, end));
    }
}
