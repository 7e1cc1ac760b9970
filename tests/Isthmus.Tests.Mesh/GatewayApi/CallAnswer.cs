using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Lab;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>What came of a call.</summary>
/// <param name="Outcome">The workload, or the status.</param>
/// <param name="Arrived">What the workload says of the request: <c>path</c>, <c>host</c>, <c>proto</c>, <c>sni</c> and headers in lower case.</param>
/// <param name="Got">The headers of the response.</param>
internal sealed record CallAnswer(string Outcome, IReadOnlyDictionary<string, string> Arrived, IReadOnlyDictionary<string, string> Got)
{
    private static readonly Dictionary<string, string> None = [];

    internal static readonly CallAnswer Closed = Status("closed");

    internal static CallAnswer Status(string status, IReadOnlyDictionary<string, string>? got = null) => new(status, None, got ?? None);

    /// <summary>The answer of echo-basic.</summary>
    internal static CallAnswer Of(JsonObject told, string home, IReadOnlyDictionary<string, string> got)
    {
        var arrived = (told["headers"] as JsonObject ?? []).ToDictionary(field => field.Key.ToLowerInvariant(),
            field => string.Join(',', (field.Value as JsonArray ?? []).Select(value => value!.ToString())));
        foreach (var field in (string[])["path", "host", "proto", "isTLS"])
            if (told[field]?.ToString() is { } value) arrived[field] = value;
        if (told["tls"] is { } tls)
        {
            arrived["sni"] = tls["serverName"]?.ToString() ?? "";
            arrived["certificates"] = $"{(tls["peerCertificates"] as JsonArray)?.Count ?? 0}";
        }
        return new(Workload(told["namespace"]!.ToString(), told["pod"]!.ToString(), home), arrived, got);
    }

    /// <summary>The Deployment of a Pod, by the Pod's name.</summary>
    internal static string Workload(string ns, string pod, string home) =>
        (ns == home ? "" : $"{ns}/") + string.Join('-', pod.Split('-').SkipLast(2));

    /// <summary>What is in place of each expected detail, in its form: equal if it is as expected.</summary>
    internal string Describe(IEnumerable<string> details) => string.Join(' ', details.Select(Describe).Prepend(Outcome));

    private string Describe(string detail)
    {
        var (name, value) = detail.Split('=', 2) is [var left, var right] ? (left, right) : (detail, "");
        return detail[0] switch
        {
            '~' => detail,
            '/' => Arrived.GetValueOrDefault("path", "/?"),
            '<' when name[1] == '!' => Got.TryGetValue(name[2..], out var given) ? $"<{name[2..]}={given}" : detail,
            '<' => $"{name}={Got.GetValueOrDefault(name[1..], "?")}",
            '!' => Arrived.TryGetValue(name[1..], out var there) ? $"{name[1..]}={there}" : detail,
            _ => Arrived.TryGetValue(name, out var has) ? $"{name}={has}" : $"!{name}",
        };
    }
}
