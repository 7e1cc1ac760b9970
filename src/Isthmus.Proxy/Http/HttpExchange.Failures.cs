using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>What clients get when no host answered.</summary>
internal sealed partial class HttpExchange
{
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ReplyFailureAsync(RequestBody? body)
    {
        if (attempts.End == AttemptEnd.NoHost)
        {
            await ReplyAsync(503, LocalReply.NoHealthyUpstream, "no_healthy_upstream", EndReason.NoHealthyUpstream).ConfigureAwait(false);
            return;
        }
        if (attempts.HasClientLeft) throw new TransportException(TransportFailure.Aborted, "the client left");
        if (body?.Failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        var (reset, failed, isRetried) = (attempts.ResetReason, attempts.Failure, _record.Attempts > 1);
        var closes = body is { IsPumping: true };
        _record.TransportFailure = failed;
        if (attempts.End == AttemptEnd.Timeout)
        {
            await ReplyTimeoutAsync(closes).ConfigureAwait(false);
            return;
        }
        if (attempts.End == AttemptEnd.Overflow)
        {
            await ReplyOverflowAsync(isRetried, closes).ConfigureAwait(false);
            return;
        }
        var details = reset.Replace(' ', '_') + (failed.Length > 0 ? $"|{failed}" : "");
        var (status, reason) = attempts.End switch
        {
            AttemptEnd.ConnectFailed => (503, EndReason.ConnectFailed),
            AttemptEnd.ProtocolError => (502, EndReason.UpstreamProtocolError),
            _ => (503, EndReason.UpstreamReset),
        };
        await ReplyAsync(status, LocalReply.UpstreamReset(reset, isRetried, failed), $"upstream_reset_before_response_started{{{details}}}", reason, closes)
            .ConfigureAwait(false);
    }

    /// <summary>A limit of the cluster was reached. The field tells the callers' proxies not to retry, as Envoy's does.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask ReplyOverflowAsync(bool isRetried, bool closes)
    {
        var body = LocalReply.Prepare(_response, Request, 503, LocalReply.UpstreamReset("overflow", isRetried, ""));
        if (_action.AddsEnvoyFields) _response.Headers.Add("x-envoy-overloaded"u8, "true"u8);
        if (closes) stream.MustClose = true;
        await SendOwnAsync(body, "upstream_reset_before_response_started{overflow}", EndReason.Overflow).ConfigureAwait(false);
    }

    private ValueTask ReplyTimeoutAsync(bool closes)
    {
        var (status, text, details, reason) = TimeLimits.Answer(attempts.Limits.Reached, stream.IsRequestComplete);
        var body = LocalReply.Prepare(_response, Request, status, text);
        if (attempts.Limits.Reached == TimeLimit.Duration && _response.Headers.Contains("grpc-status"u8)) _response.Headers.Set("grpc-status"u8, "4"u8);
        if (closes) stream.MustClose = true;
        return SendOwnAsync(body, details, reason);
    }

    /// <summary>Answers a client whose body did not arrive in time, and ends the read that waits for the rest.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask RefuseBodyAsync(Task reading)
    {
        try
        {
            await ReplyTimeoutAsync(closes: true).ConfigureAwait(false);
        }
        finally
        {
            await stream.AbandonRequestAsync(reading, parts.Ports.Time).ConfigureAwait(false);
        }
    }
}
