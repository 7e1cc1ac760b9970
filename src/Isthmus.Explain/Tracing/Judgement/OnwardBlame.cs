using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>A gateway on the way saw the request, and no proxy after it: what it tells of where it passed the request on.</summary>
internal static class OnwardBlame
{
    /// <summary>Null when it tells of no failure.</summary>
    public static Problem? Of(TraceFacts facts, MadeCall call, Sighting seen)
    {
        var (gateway, onward) = (seen.Proxy, seen.Upstream.Length > 0 ? seen.Upstream : "where its route leads");
        var logs = $"kubectl --context={gateway.Context} -n {gateway.Namespace} logs {gateway.Name}";
        if (call.IsOutOfTime)
            return Faults.Of("ISM2077", gateway.ToString(), "",
                $"the call arrived at this gateway, and {onward} had not answered it when the trace gave up: that is the limit of the trace, not of the mesh",
                $"give it more time: --timeout=30s; what the gateway does: {logs}");
        if (MadeCall.Failures(seen.Flags).Count > 0)
            return Faults.Of("ISM2075", gateway.ToString(), "",
                $"could not reach {onward}: {$"{seen.Flags} {seen.TransportFailure} {seen.Details}".TrimEnd()}",
                "check what listens there, and the network in between");
        return !CallJudgement.IsFailure(call) ? null
            : Faults.Of("ISM2073", gateway.ToString(), "", $"passed the call on to {onward}, which responded with "
                + (call.GrpcStatus is > 0 ? $"grpc-status {call.GrpcStatus}" : $"status {call.Status}"), "check the application there");
    }
}
