namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>What a client and a server saw of one case through one proxy, in parts that can be compared.</summary>
internal static class Outcome
{
    /// <summary>Fields whose value is another each time: only that they are there is compared.</summary>
    private static readonly string[] Varying = ["date", "x-request-id", "x-envoy-upstream-service-time", "sec-websocket-key"];

    internal static SortedDictionary<string, string> Of(IReadOnlyList<HeardMessage> answers, string end, IReadOnlyList<HeardMessage> heard)
    {
        var parts = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["status"] = string.Join(' ', answers.Select(answer => answer.Status == 0 ? Visible(answer.Start) : $"{answer.Status}")),
            ["end"] = end,
            ["received"] = string.Join(", ", heard.Select(request => Visible(request.Start))),
        };
        if (answers.FirstOrDefault(answer => answer.Status >= 200 || answer.Status == 101) is { } final) Add("", final);
        if (heard.Count > 0) Add("received ", heard[^1]);
        return parts;

        void Add(string prefix, HeardMessage message)
        {
            foreach (var fields in message.Fields.GroupBy(field => field.Name))
            {
                if (fields.Key == "date" && prefix.Length > 0) continue;
                parts[$"{prefix}header {fields.Key}"] = Varying.Contains(fields.Key) ? "…"
                    : Visible(string.Join(" + ", fields.Select(field => field.Value)));
            }
            if (message.Body.Length > 0) parts[$"{prefix}body"] = Visible(message.Body);
            foreach (var (name, value) in message.Trailers) parts[$"{prefix}trailer {name}"] = Visible(value);
        }
    }

    /// <summary>The parts in which two differ. Where the statuses differ, the rest of the answers is not compared.</summary>
    internal static IEnumerable<(string Part, string Ours, string Envoys)> Differences(SortedDictionary<string, string> ours,
        SortedDictionary<string, string> envoys)
    {
        string[] parts = ours["status"] == envoys["status"] ? [.. ours.Keys.Union(envoys.Keys)] : ["status", "received"];
        return from part in parts.Order(StringComparer.Ordinal)
            let pair = (Ours: Shown(ours, part), Envoys: Shown(envoys, part))
            where pair.Ours != pair.Envoys
            select (part, pair.Ours, pair.Envoys);
    }

    /// <summary>A dash stands for nothing.</summary>
    private static string Shown(SortedDictionary<string, string> outcome, string part) =>
        outcome.GetValueOrDefault(part) is { Length: > 0 } value ? value : "–";

    private static string Visible(string text) => text.Length > 200 ? $"{text.Length} bytes"
        : string.Concat(text.Select(c => c is < ' ' or > '~' || c == '|' ? $"\\x{(int)c:x2}" : $"{c}"));
}
