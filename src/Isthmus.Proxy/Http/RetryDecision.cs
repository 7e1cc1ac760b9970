using System.Buffers.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Proxy.Http;

/// <summary>How one attempt at a host ended.</summary>
public enum AttemptEnd { Answered, ConnectFailed, Refused, Reset, ProtocolError, Timeout, Overflow, NoHost }

/// <summary>Whether to retry a failed attempt: a pure function.</summary>
internal static class RetryDecision
{
    public static bool IsRetriable(RetrySettings? retry, AttemptEnd end, RequestHead request, ResponseHead response, bool wasReused)
    {
        // More attempts would only add to the load.
        if (end == AttemptEnd.Overflow) return false;
        if (end == AttemptEnd.Answered) return retry is not null && IsRetriable(retry, response);
        if (end == AttemptEnd.Reset)
        {
            // A kept connection that closes just as it is reused says nothing about the host, and an idempotent request may
            // always be sent again (RFC 9110 section 9.2.2); with a retry policy, also after a fresh connection broke.
            if (request.IsIdempotent && (wasReused || retry is { Retries: > 0 })) return true;
            return retry is not null && (retry.On & (RetryOn.Reset | RetryOn.ServerError)) != 0;
        }
        if (retry is null) return false;
        return end switch
        {
            AttemptEnd.ConnectFailed => (retry.On & (RetryOn.ConnectFailure | RetryOn.Reset | RetryOn.ResetBeforeRequest | RetryOn.ServerError)) != 0,
            AttemptEnd.Refused => (retry.On & (RetryOn.RefusedStream | RetryOn.ConnectFailure | RetryOn.Reset | RetryOn.ServerError)) != 0,
            // A server that does not answer in time counts as one that ends the connection.
            AttemptEnd.Timeout => (retry.On & (RetryOn.GatewayError | RetryOn.ServerError | RetryOn.Reset)) != 0 || retry.StatusCodes.Contains(504),
            _ => (retry.On & (RetryOn.Reset | RetryOn.ServerError)) != 0,
        };
    }

    private static bool IsRetriable(RetrySettings retry, ResponseHead response)
    {
        // It comes from a rate limit of another proxy, which more requests would only reach again.
        if (response.Headers.Contains("x-envoy-ratelimited"u8)) return (retry.On & RetryOn.RateLimited) != 0;
        var status = response.Status;
        if ((retry.On & RetryOn.ServerError) != 0 && status >= 500) return true;
        if ((retry.On & RetryOn.GatewayError) != 0 && status is >= 502 and <= 504) return true;
        if ((retry.On & RetryOn.StatusCodes) != 0 && retry.StatusCodes.Contains(status)) return true;
        if ((retry.On & RetryOn.Retriable4xx) != 0 && status == 409) return true;
        if ((retry.On & RetryOn.Headers) != 0)
        {
            foreach (var header in retry.Headers)
                if (header.IsMatch(response)) return true;
        }
        return Utf8Parser.TryParse(response.Headers.Get("grpc-status"u8), out int grpc, out _) && (retry.On & GrpcCondition(grpc)) != 0;
    }

    private static RetryOn GrpcCondition(int status) => status switch
    {
        1 => RetryOn.GrpcCancelled,
        4 => RetryOn.GrpcDeadline,
        8 => RetryOn.GrpcExhausted,
        13 => RetryOn.GrpcInternal,
        14 => RetryOn.GrpcUnavailable,
        _ => RetryOn.None,
    };

    /// <summary>
    /// How long to wait before another attempt: a random part of an interval that doubles each time, so that a host in trouble is not flooded.
    /// A request that no host has seen goes on to another host at once, unless the policy names an interval.
    /// </summary>
    /// <param name="retry">The policy.</param>
    /// <param name="end">How the last attempt ended.</param>
    /// <param name="attempt">Its number, from 1.</param>
    /// <param name="isElsewhere">Whether the next attempt goes to a host that was not tried.</param>
    /// <param name="random">Chooses the part.</param>
    public static TimeSpan Pause(RetrySettings? retry, AttemptEnd end, int attempt, bool isElsewhere, Random random)
    {
        if (isElsewhere && end is (AttemptEnd.ConnectFailed or AttemptEnd.Refused) && retry is not { AlwaysWaits: true }) return TimeSpan.Zero;
        var ceiling = (retry?.BackoffBase ?? TimeSpan.FromMilliseconds(25)) * Math.Pow(2, Math.Min(attempt - 1, 10));
        var most = retry?.BackoffMax ?? TimeSpan.FromMilliseconds(250);
        return (ceiling > most ? most : ceiling) * random.NextDouble();
    }
}
