using System.Net;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;
using Isthmus.Wire.Grpc;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>Receives the access logs of the listeners of traced calls.</summary>
internal sealed class CallReports
{
    public static readonly GrpcMethod<StreamAccessLogsMessage, StreamAccessLogsResponse> Method = new(
        "envoy.service.accesslog.v3.AccessLogService", "StreamAccessLogs", StreamAccessLogsMessage.Parser, StreamAccessLogsResponse.Parser);

    private readonly Lock _lock = new();   // guards _waiting
    private readonly HashSet<ExpectedCall> _waiting = [];

    public async Task ServeAsync(GrpcCall call, GrpcReader<StreamAccessLogsMessage> reports, GrpcWriter<StreamAccessLogsResponse> answers)
    {
        while (await reports.ReadAsync(call.Stop).ConfigureAwait(false) is { } report)
        {
            foreach (var entry in report.HttpLogs?.LogEntry ?? []) Take(call => call.Id == MarkOf(entry), LoggedCall.Read(entry), isEnd: true);
            foreach (var entry in report.TcpLogs?.LogEntry ?? [])
                Take(call => call.Source.Equals(LoggedCall.PointOf(entry.CommonProperties?.DownstreamRemoteAddress)), LoggedCall.Read(entry),
                    entry.CommonProperties?.AccessLogType != AccessLogType.TcpUpstreamConnected);
        }
    }

    /// <summary>Waits for what is logged of a call, until it is disposed of.</summary>
    /// <param name="source">The address from which it comes; the fields of a request can claim another.</param>
    /// <param name="id">The mark of its request.</param>
    public ExpectedCall Expect(IPEndPoint source, string id)
    {
        var expected = new ExpectedCall(this, source, id);
        lock (_lock) _waiting.Add(expected);
        return expected;
    }

    private static string? MarkOf(HTTPAccessLogEntry entry) => entry.Request?.RequestHeaders.GetValueOrDefault(CallListener.Mark);

    private void Take(Predicate<ExpectedCall> isIts, SeenTraffic seen, bool isEnd)
    {
        lock (_lock)
            foreach (var expected in _waiting)
                if (isIts(expected)) expected.Take(seen, isEnd);
    }

    private void Forget(ExpectedCall call)
    {
        lock (_lock) _waiting.Remove(call);
    }

    /// <summary>A call of which something will be logged: that it is connected, that it is over, or first the one and then the other.</summary>
    internal sealed class ExpectedCall(CallReports owner, IPEndPoint source, string id) : IDisposable
    {
        private readonly TaskCompletionSource<SeenTraffic> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile SeenTraffic? _connected;

        public IPEndPoint Source => source;

        public string Id => id;

        /// <summary>What was logged at the end of the call, or until the patience is over; null for nothing.</summary>
        public async Task<SeenTraffic?> SeenAsync(TimeSpan patience, TimeProvider time, CancellationToken stop)
        {
            await Task.WhenAny(_end.Task, Task.Delay(patience, time, stop)).ConfigureAwait(false);
            return _end.Task.IsCompletedSuccessfully ? await _end.Task.ConfigureAwait(false) : _connected;
        }

        public void Dispose() => owner.Forget(this);

        internal void Take(SeenTraffic seen, bool isEnd)
        {
            if (isEnd) _end.TrySetResult(seen);
            else _connected = seen with { Standing = true };
        }
    }
}
