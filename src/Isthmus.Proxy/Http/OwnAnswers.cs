using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>The answers of this proxy to one request after another, for example when no host answered, and the fields that every response gets.</summary>
internal sealed class OwnAnswers(HttpParts parts, Downstream connection, DownstreamStream stream, RequestAttempts attempts, RequestFilters filters)
{
    private readonly ResponseHead _response = attempts.Response;
    private readonly TrafficRecord _record = attempts.Record;
    private HttpAction _action = null!;

    /// <summary>The cookie that keeps the client with its host; empty for none.</summary>
    public string Cookie { get; set; } = "";

    private RequestHead Request => stream.Request;

    /// <summary>Begins with another request.</summary>
    public void Begin(HttpAction action) => (_action, Cookie) = (action, "");

    /// <summary>Answers with a text from the proxy itself.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask ReplyAsync(int status, string text, string details, EndReason reason, bool closes = false)
    {
        var body = LocalReply.Prepare(_response, Request, status, text);
        if (closes) stream.MustClose = true;
        await SendAsync(body, details, reason).ConfigureAwait(false);
    }

    public ValueTask SendAsync(FilterAnswer answer) => SendAsync(answer.Body, answer.Details, answer.Reason);

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask SendAsync(ReadOnlyMemory<byte> body, string details, EndReason reason)
    {
        // An answer of this proxy must not look as if a tunnel began here.
        if (Request.IsConsent(_response.Status)) (body, details) = (LocalReply.Prepare(_response, Request, 403, ""), "upgrade_failed");
        _record.Reason = reason;
        _record.Details = details;
        _record.Status = _response.Status;
        Complete();
        await stream.SendHeadAsync(_response).ConfigureAwait(false);
        await stream.SendBodyAsync(body).ConfigureAwait(false);
        await stream.EndAsync(null).ConfigureAwait(false);
    }

    /// <summary>Writes the fields that every response gets.</summary>
    public void Complete()
    {
        filters.Respond();
        var headers = _response.Headers;
        if (_action.Server.Field == ServerField.Overwrite || (_action.Server.Field == ServerField.AppendIfAbsent && !headers.Contains("server"u8)))
            headers.Set("server"u8, _action.Server.Name);
        if (!headers.Contains("date"u8)) headers.Add("date"u8, parts.Date.Now);
        if (_action.Ids.InResponse && Request.Headers.IndexOf("x-request-id"u8) is >= 0 and var at)
            headers.Set("x-request-id"u8, Request.Headers.Value(at));
        if (Cookie.Length > 0) headers.Add("set-cookie"u8, Cookie);
        if (filters.ToClient is { Count: > 0 } told) HeaderEditing.Response(_response, HeaderEdits.None with { Response = told }, _record);
        if (connection.IsTooOld || parts.Connections.IsEnding(connection)) stream.MustClose = true;
    }

    /// <summary>Says why no host answered.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask ReplyFailureAsync(RequestBody? body)
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
    public async ValueTask ReplyOverflowAsync(bool isRetried, bool closes)
    {
        var body = LocalReply.Prepare(_response, Request, 503, LocalReply.UpstreamReset("overflow", isRetried, ""));
        if (_action.AddsEnvoyFields) _response.Headers.Add("x-envoy-overloaded"u8, "true"u8);
        if (closes) stream.MustClose = true;
        await SendAsync(body, "upstream_reset_before_response_started{overflow}", EndReason.Overflow).ConfigureAwait(false);
    }

    private ValueTask ReplyTimeoutAsync(bool closes)
    {
        var (status, text, details, reason) = TimeLimits.Answer(attempts.Limits.Reached, stream.IsRequestComplete);
        var body = LocalReply.Prepare(_response, Request, status, text);
        if (attempts.Limits.Reached == TimeLimit.Duration && _response.Headers.Contains("grpc-status"u8)) _response.Headers.Set("grpc-status"u8, "4"u8);
        if (closes) stream.MustClose = true;
        return SendAsync(body, details, reason);
    }

    /// <summary>Answers a client whose body did not arrive in time, and ends the read that waits for the rest.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask RefuseBodyAsync(Task reading)
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
