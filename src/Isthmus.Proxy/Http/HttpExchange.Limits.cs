using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Proxy.Http;

/// <summary>What happens each second: a time limit may end the exchange where it waits, and the messages of a gRPC call are counted.</summary>
internal sealed partial class HttpExchange
{
    private readonly RequestLimits _limits = new();
    private OpenCall _call; // guarded by _record

    private void Arm(ForwardAct act, ClusterState cluster)
    {
        lock (_record)
        {
            (_upstream, _queued, _clientLeft) = (null, null, false);
            _call = new(_action, connection);
            _limits.Begin(_action, act, cluster.Config.MaxStreamDuration, _record.StartedAt);
        }
        stream.Waiting = this;
    }

    private void Disarm()
    {
        stream.Waiting = null;
        lock (_record) _limits.End();
    }

    void IWaiting.OnSecond()
    {
        lock (_record)
        {
            if (_limits.Look(stream, parts.Ports.Time) is not TimeLimit.None and var limit) OnTimeout(limit);
            if (_upstream is not null) _call.Look(stream, _record, parts.Report);
        }
    }

    private void OnTimeout(TimeLimit limit)
    {
        lock (_record)
        {
            _limits.Reach(limit);
            _upstream?.Abort();
            _queued?.Leave();
            // It may wait for a client that does not read.
            if (stream.IsResponseStarted && TimeLimits.EndsStream(limit)) stream.Reset();
        }
    }

    private ValueTask ReplyTimeoutAsync(bool closes)
    {
        var (status, text, details, reason) = TimeLimits.Answer(_limits.Reached, stream.IsRequestComplete);
        var body = LocalReply.Prepare(_response, Request, status, text);
        if (_limits.Reached == TimeLimit.Duration && _response.Headers.Contains("grpc-status"u8)) _response.Headers.Set("grpc-status"u8, "4"u8);
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
