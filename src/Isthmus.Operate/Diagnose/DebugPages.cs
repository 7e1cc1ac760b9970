using System.Globalization;
using System.Text.Json.Nodes;

namespace Isthmus.Operate.Diagnose;

/// <summary>The list of a control plane's debug pages (<c>/debug/list</c>). Pure.</summary>
public static class DebugPages
{
    public const string Prefix = "/debug/";

    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    /// <summary>How long a page takes because its query says so: profiles and traces have <c>seconds=N</c>.</summary>
    public static TimeSpan Duration(string page) =>
        page.Split('?', 2) is [_, var query]
        && query.Split('&').Select(part => part.Split('=', 2)).FirstOrDefault(part => part is ["seconds", _]) is [_, var text]
        && double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds < Longest.TotalSeconds
            ? TimeSpan.FromSeconds(seconds) : TimeSpan.Zero;

    /// <summary>Names without <see cref="Prefix"/>: istiod leaves it out, control planes of Isthmus do not.</summary>
    /// <param name="listed">The answer; what is not a list has no names.</param>
    public static IReadOnlyList<string> Names(JsonNode? listed) =>
    [
        .. (listed as JsonArray ?? []).OfType<JsonValue>().Select(page => page.TryGetValue<string>(out var name) ? name : "")
            .Select(name => name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name).Where(name => name.Length > 0),
    ];
}
