using Isthmus.Reports;

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
    public static ProbeAnswer Read(CallReport answer, ProbeProtocol protocol)
    {
        var seen = answer.Seen;
        var (flags, status) = (seen?.Flags ?? "", answer.Status ?? 0);
        var isAnswered = flags is "" or "-" && answer is { Error: null, NotMade: null } && protocol.Kind switch
        {
            "tcp" => answer.Received > 0,
            "grpc" => status == 200 && answer.GrpcStatus == 0,
            _ => status == 200,
        };
        var parts = ((string?[])
            [status > 0 ? $"status {status}" : null, flags is "-" ? null : flags, answer.Error, answer.NotMade, seen?.Details, seen?.TransportFailure])
            .Where(part => !string.IsNullOrEmpty(part)).Distinct();
        var error = string.Join(", ", parts);
        return new(answer.TookMs ?? 0, seen?.Upstream ?? "",
            isAnswered ? "" : error.Length > 0 ? error : "the connection was closed without an answer");
    }
}
