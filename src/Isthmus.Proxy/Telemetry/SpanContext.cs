namespace Isthmus.Proxy.Telemetry;

/// <summary>The place of a span in its trace. IDs are big-endian numbers; 0: none.</summary>
/// <param name="High">The upper half of the trace's ID; 0 for IDs of 64 bits.</param>
/// <param name="Parent">The span that caused it.</param>
internal readonly record struct SpanContext(ulong High, ulong Low, ulong Id, ulong Parent, bool IsSampled)
{
    public string TraceText => High == 0 ? $"{Low:x16}" : $"{High:x16}{Low:x16}";
}

/// <summary>A span that has ended.</summary>
/// <param name="Service">The name of the service that the proxy belongs to.</param>
/// <param name="IsServer">The proxy received the request for its workload; otherwise it sent it to another one.</param>
internal sealed record FinishedSpan(
    SpanContext Context, string Name, string Service, bool IsServer, DateTimeOffset Start, TimeSpan Duration, IReadOnlyList<KeyValuePair<string, string>> Tags)
{
    public bool IsError { get; init; }

    /// <summary>What else describes the workload.</summary>
    public ResourceAttributes Resource { get; init; } = ResourceAttributes.None;

    /// <summary>The <c>tracestate</c> of the request.</summary>
    public string State { get; init; } = "";
}
