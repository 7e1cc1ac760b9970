using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>A scope of a control plane's log, in the form of ControlZ (<c>/scopej</c>). In a change, what is null stays as it is.</summary>
public sealed record LogScope(string Name = "")
{
    public string? Description { get; init; }

    /// <summary>One of Istio's words for levels, <c>debug</c> to <c>none</c>.</summary>
    [JsonPropertyName("output_level")]
    public string? OutputLevel { get; init; }

    /// <summary><c>none</c>: messages have no stack traces.</summary>
    [JsonPropertyName("stack_trace_level")]
    public string? StackTraceLevel { get; init; }
}
