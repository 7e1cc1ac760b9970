using System.Text.Json.Nodes;

namespace Isthmus.Explain.Probing;

/// <summary>What a probe speaks.</summary>
/// <param name="Kind">In the words of the proxy's <c>/call</c>.</param>
internal sealed record ProbeProtocol(string Name, string Kind, int Port, string Method, string Path)
{
    public static readonly IReadOnlyList<ProbeProtocol> All =
    [
        new("HTTP", "http", ProbeObjects.Http, "GET", "/"), new("gRPC", "grpc", ProbeObjects.Grpc, "POST", "/isthmus.Probe/Call"),
        new("TCP", "tcp", ProbeObjects.Tcp, "GET", "/"),
    ];
}

/// <summary>How one call went.</summary>
/// <param name="Upstream">The address that the caller's proxy chose.</param>
/// <param name="Error">Empty when the callee answered.</param>
internal sealed record ProbeAnswer(double Milliseconds, string Upstream, string Error)
{
    public static ProbeAnswer Read(JsonNode answer, ProbeProtocol protocol)
    {
        var seen = answer["seen"];
        var (flags, status) = (seen?["flags"]?.ToString() ?? "", (int?)answer["status"] ?? 0);
        var isAnswered = flags is "" or "-" && answer["error"] is null && protocol.Kind switch
        {
            "tcp" => (int?)answer["received"] > 0,
            "grpc" => status == 200 && (int?)answer["grpc_status"] == 0,
            _ => status == 200,
        };
        var parts = ((string?[])[status > 0 ? $"status {status}" : null, flags is "-" ? null : flags, answer["error"]?.ToString(), seen?["details"]?.ToString(),
            seen?["transport_failure"]?.ToString()])
            .Where(part => !string.IsNullOrEmpty(part)).Distinct();
        var error = string.Join(", ", parts);
        return new((double?)answer["took_ms"] ?? 0, seen?["upstream"]?.ToString() ?? "",
            isAnswered ? "" : error.Length > 0 ? error : "the connection was closed without an answer");
    }
}
