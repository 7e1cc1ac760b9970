using System.Collections.Concurrent;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Http;

/// <summary>Sends lines of access logs to services that speak OpenTelemetry's protocol.</summary>
internal sealed class LogServices(OwnRequests requests, AccessCounts counts, BackgroundTasks background, TimeProvider time, ProxyIdentity identity) : ILogServices, IDisposable
{
    private readonly ConcurrentDictionary<(Collector Collector, string LogName), BatchExporter<LogLine>> _exporters = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly string _service = $"{identity.CanonicalName}.{identity.Namespace}";

    public void Add(LogServiceSnapshot service, LogLine line)
    {
        var key = (service.Collector, service.LogName);
        if (!_exporters.TryGetValue(key, out var exporter))
            exporter = _exporters.GetOrAdd(key, made => new(ExportTo(made.Collector, made.LogName), requests, counts, background, time, _stop.Token));
        exporter.Add(line);
    }

    /// <summary>Sends what is waiting.</summary>
    public Task FlushAsync() => Task.WhenAll(_exporters.Values.Select(exporter => exporter.FlushAsync()));

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private Export<LogLine> ExportTo(Collector collector, string logName) =>
        new(collector, "access_logs.open_telemetry_access_log.", "logs", lines => OtlpReport.Request(collector, _service, logName, lines));
}
