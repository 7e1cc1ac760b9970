using Isthmus.Proxy.Trace;
using Isthmus.Reports;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>Reads in the answer to a traced call whether this Pod's Envoy gave it itself, and why: its text says what its access log shows as a flag.</summary>
internal static class EnvoyAnswer
{
    /// <summary>Envoy adds it to answers that it passes on.</summary>
    private const string PassedOn = "x-envoy-upstream-service-time";

    private const string NoConnection = "upstream connect error or disconnect/reset before headers.";

    /// <summary>What the text begins with.</summary>
    private static readonly (string Text, string Flag)[] Texts =
    [
        ("no healthy upstream", "UH"), ("upstream request timeout", "UT"), ("fault filter abort", "FI"), ("upstream max stream duration reached", "UMSDR"),
    ];

    /// <summary>Why there was no connection, or no answer on it.</summary>
    private static readonly (string Reason, string Flag)[] Reasons =
    [
        ("connection termination", "UC"), ("overflow", "UO"), ("remote reset", "UR"), ("remote refused stream reset", "UR"), ("protocol error", "UPE"),
        ("remote connection failure", "UF"), ("local connection failure", "UF"), ("connection failure", "UF"), ("connection timeout", "UF"),
        ("immediate connect error", "UF"),
    ];

    /// <returns>What a data plane of Isthmus reports as <c>seen</c>; null when Envoy passed the answer on, or that is not known.</returns>
    /// <param name="result">The result of the call.</param>
    public static SeenReport? Seen(CallKind kind, CallReport result)
    {
        // What passes inside the application's own TLS is not Envoy's, and bytes have no answer.
        if (kind is CallKind.Tcp or CallKind.Tls || result.Status is not { } status || HasHeader(result, PassedOn)) return null;
        var text = (kind == CallKind.Grpc ? result.GrpcMessage : result.Body)?.Trim() ?? "";
        var flag = Flag(text);
        if (flag.Length == 0 && kind == CallKind.Http && status == 404 && text.Length == 0
            && result.Headers?.GetValueOrDefault("server") == "envoy")
            flag = "NR";
        return flag.Length == 0 ? null : new() { Flags = flag, Details = text };
    }

    private static string Flag(string text)
    {
        if (Texts.FirstOrDefault(known => text.StartsWith(known.Text, StringComparison.Ordinal)) is { Flag: { } flag }) return flag;
        if (!text.StartsWith(NoConnection, StringComparison.Ordinal)) return "";
        return Reasons.FirstOrDefault(known => text.Contains($"reset reason: {known.Reason}", StringComparison.Ordinal)).Flag ?? "";
    }

    private static bool HasHeader(CallReport result, string name) =>
        result.Headers?.Keys.Any(header => header.Equals(name, StringComparison.OrdinalIgnoreCase)) == true;
}
