using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Export;

/// <summary>A request's span while the request runs.</summary>
/// <param name="Operation">What the caller calls the operation; empty: the route says.</param>
internal readonly record struct OpenSpan(SpanContext Context, string Operation);

/// <summary>Begins and ends the spans of requests.</summary>
internal sealed class Tracers(ExportParts parts, ProxyPorts ports, ProxyIdentity identity) : IDisposable
{
    private readonly ConcurrentDictionary<Collector, BatchExporter<FinishedSpan>> _exporters = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly string _service = $"{identity.CanonicalName}.{identity.Namespace}";

    private readonly ResourceAttributes _environment = ResourceAttributes.Read(Environment.GetEnvironmentVariable);
    private readonly Lazy<(ResourceAttributes Alone, ResourceAttributes Both)> _dynatrace = new(() =>
    {
        var files = ResourceAttributes.ReadDynatrace(ports.ReadText);
        return (files, ResourceAttributes.Read(Environment.GetEnvironmentVariable).With(files));
    });

    /// <summary>Decides whether the request is traced, and tells the next hop. A request that is not sampled costs no memory.</summary>
    /// <param name="settings">Null: requests are not traced.</param>
    public OpenSpan Begin(TracingSettings? settings, HeaderBlock headers, Direction direction)
    {
        var span = settings is null ? default : Open(settings, headers, direction);
        // It is for this proxy only.
        if (direction == Direction.Inbound) headers.Remove("x-envoy-decorator-operation"u8);
        return span;
    }

    private OpenSpan Open(TracingSettings settings, HeaderBlock headers, Direction direction)
    {
        var wanted = TraceDecision.Of(settings, headers);
        var isW3C = settings.Collector.Format != ReportFormat.Zipkin;
        var caller = TraceHeaders.Read(headers, isW3C);
        var sampled = caller.IsSampled ?? wanted;
        var span = caller.HasTrace
            ? new SpanContext(caller.High, caller.Low, NewId(), caller.Span, sampled)
            : new SpanContext(settings.HasShortIds ? 0 : NewId(), NewId(), NewId(), 0, sampled);
        if (settings.HidesContext) TraceHeaders.Remove(headers);
        else TraceHeaders.Write(headers, span, isW3C, settings.WritesBoth);
        return new(span, sampled && direction == Direction.Inbound ? headers.GetString("x-envoy-decorator-operation"u8) ?? "" : "");
    }

    public void End(TracingSettings settings, OpenSpan open, TrafficRecord record, string operation, Direction direction)
    {
        if (!open.Context.IsSampled) return;
        var name = open.Operation.Length > 0 ? open.Operation : operation.Length > 0 ? operation : record.Request?.Authority ?? "";
        var resource = ResourceOf(settings);
        var service = resource.Service.Length > 0 ? resource.Service : settings.ServiceName.Length > 0 ? settings.ServiceName : _service;
        var span = new FinishedSpan(
            open.Context, name, service, direction == Direction.Inbound, record.Start, record.Duration,
            SpanTags.Of(settings, record, identity, ValueOf))
            {
                IsError = record.Status is 0 or >= 500, Resource = resource, State = record.Request?.Headers.GetJoined("tracestate"u8) ?? ""
            };
        if (!_exporters.TryGetValue(settings.Collector, out var exporter))
            exporter = _exporters.GetOrAdd(settings.Collector, collector => new(ExportTo(collector), parts, _stop.Token));
        exporter.Add(span);
    }

    private ResourceAttributes ResourceOf(TracingSettings settings) => (settings.ReadsEnvironment, settings.ReadsDynatrace) switch
    {
        (true, true) => _dynatrace.Value.Both,
        (true, false) => _environment,
        (false, true) => _dynatrace.Value.Alone,
        _ => ResourceAttributes.None,
    };

    private Export<FinishedSpan> ExportTo(Collector collector) => collector.Format == ReportFormat.Zipkin
        ? new(collector, AccessStats.Zipkin, "spans", "sent", spans => ZipkinReport.Request(collector, spans, Address))
        : new(collector, AccessStats.OtlpSpans, "spans", "sent",
            spans => OtlpReport.Request(collector, spans)) { Refused = answer => OtlpReport.RefusedSpans(collector, answer) };

    /// <summary>Sends what is waiting.</summary>
    public Task FlushAsync() => Task.WhenAll(_exporters.Values.Select(exporter => exporter.FlushAsync()));

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private string? ValueOf(string variable) => variable switch
    {
        ProxyVariables.CanonicalService when identity.CanonicalName.Length > 0 => identity.CanonicalName,
        ProxyVariables.CanonicalRevision when identity.CanonicalRevision.Length > 0 => identity.CanonicalRevision,
        ProxyVariables.ClusterId when identity.Cluster.Length > 0 => identity.Cluster,
        ProxyVariables.Namespace when identity.Namespace.Length > 0 => identity.Namespace,
        _ => Environment.GetEnvironmentVariable(variable),
    };

    private IPAddress? Address => identity.NodeId.Split('~') is [_, var text, ..] && IPAddress.TryParse(text, out var address) ? address : null;

    private ulong NewId()
    {
        Span<byte> bytes = stackalloc byte[8];
        ulong id;
        do
        {
            ports.Random.NextBytes(bytes);
            id = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        }
        while (id == 0);
        return id;
    }
}
