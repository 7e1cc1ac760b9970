using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Reports;
using Microsoft.Extensions.Logging;

namespace Isthmus.Wire.Xds;

/// <summary>A discovery client's identity and timeouts.</summary>
/// <param name="Wildcards">The types with a wildcard subscription.</param>
/// <param name="Dial">Opens the channel of one stream; called for each stream, so that rotated certificates take effect.</param>
/// <param name="Headers">The metadata for one stream, for example a bearer token that was just read.</param>
public sealed record XdsClientSettings(
    Node Node,
    IReadOnlyList<string> Wildcards,
    Func<GrpcChannel> Dial,
    Func<CancellationToken, ValueTask<IReadOnlyList<KeyValuePair<string, string>>>> Headers)
{
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Short: until a proxy reconnects to its restarted control plane, it misses Pods that are replaced meanwhile.</summary>
    public TimeSpan LongestPause { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long the stream must be quiet before removed clusters are actually dropped.</summary>
    public TimeSpan Quiet { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>The telemetry that the client loses at present; null if it does not tell.</summary>
    public Func<TelemetryReport>? Report { get; init; }

    /// <summary>How often it looks for something to report.</summary>
    public TimeSpan ReportPause { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>Keeps one delta ADS stream to a control plane open, and passes what it receives to a sink.</summary>
public sealed partial class XdsClient(XdsClientSettings settings, IXdsSink sink, TimeProvider time, Random random, ILogger log)
{
    private readonly DeltaClient _state = new(settings.Node, settings.Wildcards, sink, time);
    private volatile XdsClientStatus _status = new(false, time.GetUtcNow(), "", []);

    public XdsClientStatus Status => _status;

    /// <summary>Runs until <paramref name="stop"/>; losing the control plane only pauses it.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var failures = 0;
        while (!stop.IsCancellationRequested)
        {
            var heard = false;
            var error = "the control plane ended the stream";
            try
            {
                await StreamAsync(() => heard = true, stop).ConfigureAwait(false);
            }
            catch (GrpcException e)
            {
                error = e.Message;
            }
            // A missing token or certificate is an expected state: retry.
            catch (Exception e) when (e is IOException or UnauthorizedAccessException && !stop.IsCancellationRequested)
            {
                error = e.Message;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            failures = heard ? 1 : failures + 1;
            var pause = Pause(failures);
            _status = new(false, time.GetUtcNow(), error, _state.Types);
            StreamEnded(log, error, pause);
            await Task.Delay(pause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Doubles with each failure, with jitter so that proxies do not all reconnect at once.</summary>
    private TimeSpan Pause(int failures)
    {
        var longest = Math.Min(settings.LongestPause.TotalMilliseconds, settings.FirstPause.TotalMilliseconds * Math.Pow(2, Math.Min(failures - 1, 30)));
        return TimeSpan.FromMilliseconds(longest * (0.5 + random.NextDouble() / 2));
    }

    private async Task StreamAsync(Action heard, CancellationToken stop)
    {
        using var channel = settings.Dial();
        var headers = await settings.Headers(stop).ConfigureAwait(false);
        await using var call = channel.Open(AdsMethods.Delta, new() { Headers = headers }, stop);
        await SendAsync(call, _state.Open(), stop).ConfigureAwait(false);
        var next = call.ReadAsync(stop).AsTask();
        var connected = false;
        var reports = new Reports(settings, time);
        while (true)
        {
            if (_state.IsUnsettled && !await ArrivesSoonAsync(next, stop).ConfigureAwait(false))
                await SendAsync(call, _state.Settle(), stop).ConfigureAwait(false);
            await ReportAsync(call, reports, next, stop).ConfigureAwait(false);
            if (await next.ConfigureAwait(false) is not { } response) return;
            heard();
            if (!connected) StreamOpened(log, settings.Node.Id);
            connected = true;
            reports.AreTaken = TelemetryReports.AreTakenBy(response.ControlPlane);
            var answers = _state.Receive(response);
            if (answers.FirstOrDefault()?.ErrorDetail is { } refused) Rejected(log, response.TypeUrl, response.SystemVersionInfo, refused.Message);
            _status = new(true, _status.Connected ? _status.Since : time.GetUtcNow(), _status.LastError, _state.Types);
            await SendAsync(call, answers, stop).ConfigureAwait(false);
            next = call.ReadAsync(stop).AsTask();
        }
    }

    /// <summary>Reports changes until the next response arrives.</summary>
    private async Task ReportAsync(GrpcDuplex<DeltaDiscoveryRequest, DeltaDiscoveryResponse> call, Reports reports, Task next, CancellationToken stop)
    {
        while (reports.AreTaken)
        {
            if (reports.Take() is { } report) await call.WriteAsync(TelemetryReports.Pack(report), stop).ConfigureAwait(false);
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var first = await Task.WhenAny(next, Task.Delay(settings.ReportPause, time, enough.Token)).ConfigureAwait(false);
            await enough.CancelAsync().ConfigureAwait(false);
            if (first == next || stop.IsCancellationRequested) return;
        }
    }

    /// <summary>The reports of one stream. Responses that follow each other quickly do not make it look more often.</summary>
    private sealed class Reports(XdsClientSettings settings, TimeProvider time)
    {
        private readonly Func<TelemetryReport>? _source = settings.Report;
        private TelemetryReport _told = new();
        private long? _looked;
        private bool _areTaken;

        /// <summary>Whether there is something to tell, and the control plane takes it.</summary>
        public bool AreTaken
        {
            get => _areTaken;
            set => _areTaken = value && _source is not null;
        }

        /// <summary>Null if nothing has changed, or that was only a moment ago.</summary>
        public TelemetryReport? Take()
        {
            if (_looked is { } at && time.GetElapsedTime(at) < settings.ReportPause / 2) return null;
            _looked = time.GetTimestamp();
            var now = _source!();
            return now.Equals(_told) ? null : _told = now;
        }
    }

    private async Task<bool> ArrivesSoonAsync(Task next, CancellationToken stop)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var quiet = Task.Delay(settings.Quiet, time, enough.Token);
        var first = await Task.WhenAny(next, quiet).ConfigureAwait(false);
        await enough.CancelAsync().ConfigureAwait(false);
        return first == next || stop.IsCancellationRequested;
    }

    private static async ValueTask SendAsync(
        GrpcDuplex<DeltaDiscoveryRequest, DeltaDiscoveryResponse> call, IReadOnlyList<DeltaDiscoveryRequest> requests, CancellationToken stop)
    {
        foreach (var request in requests) await call.WriteAsync(request, stop).ConfigureAwait(false);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Discovery stream opened as {Node}")]
    private static partial void StreamOpened(ILogger log, string node);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Discovery stream ended: {Error}; next attempt in {Pause}")]
    private static partial void StreamEnded(ILogger log, string error, TimeSpan pause);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Rejected {Type} version {Version}: {Reasons}")]
    private static partial void Rejected(ILogger log, string type, string version, string reasons);
}
