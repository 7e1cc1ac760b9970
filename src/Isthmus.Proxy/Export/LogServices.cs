using System.Collections.Concurrent;
using Google.Protobuf;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Export;

/// <summary>Sends access logs to services: lines to those that speak OpenTelemetry's protocol, entries to those that speak Envoy's.</summary>
internal sealed class LogServices(ExportParts parts, ProxyIdentity identity) : ILogServices, IDisposable
{
    private readonly ConcurrentDictionary<(Collector Collector, string LogName), BatchExporter<LogLine>> _lines = [];
    private readonly ConcurrentDictionary<(Collector Collector, string LogName, bool IsHttp), BatchExporter<IMessage>> _entries = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly string _service = $"{identity.CanonicalName}.{identity.Namespace}";

    public void Add(ServiceLog log, TrafficRecord record)
    {
        if (log is OtlpLog otlp)
            Lines(otlp)
                .Add(new(record.Start, otlp.Body.Format(record),
                    [.. otlp.Attributes.Select(item => KeyValuePair.Create(item.Key, item.Value.Format(record)))]));
        else if (log is EntryLog entries) Entries(entries).Add(entries.IsHttp ? LogEntry.Http(entries, record) : LogEntry.Tcp(record));
    }

    /// <summary>Sends what is waiting.</summary>
    public Task FlushAsync() =>
        Task.WhenAll(_lines.Values.Select(exporter => exporter.FlushAsync()).Concat(_entries.Values.Select(exporter => exporter.FlushAsync())));

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private BatchExporter<LogLine> Lines(OtlpLog log)
    {
        var key = (log.Collector, log.LogName);
        return _lines.TryGetValue(key, out var known) ? known : _lines.GetOrAdd(key, made => Exporter(
            new Export<LogLine>(made.Collector, AccessStats.OtlpLogs, "logs", "written",
                lines => OtlpReport.Request(made.Collector, _service, made.LogName, lines))
            { Refused = answer => OtlpReport.RefusedLines(made.Collector, answer) }));
    }

    private BatchExporter<IMessage> Entries(EntryLog log)
    {
        var key = (log.Collector, log.LogName, log.IsHttp);
        return _entries.TryGetValue(key, out var known) ? known : _entries.GetOrAdd(key, made => Exporter(
            new Export<IMessage>(made.Collector, AccessStats.EntryLogs, "logs", "written",
                entries => EntryReport.Request(made.Collector, identity, made.LogName, entries))));
    }

    private BatchExporter<T> Exporter<T>(Export<T> export) => new(export, parts, _stop.Token);
}
