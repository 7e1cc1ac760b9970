using System.Text.Json.Nodes;

namespace Isthmus.Operate.Diagnose;

/// <summary>The list of a control plane's debug pages (<c>/debug/list</c>). Pure.</summary>
public static class DebugPages
{
    public const string Prefix = "/debug/";

    /// <summary>Names without <see cref="Prefix"/>: istiod leaves it out, control planes of Isthmus do not.</summary>
    /// <param name="listed">The answer; what is no list has no names.</param>
    public static IReadOnlyList<string> Names(JsonNode? listed) =>
    [
        .. (listed as JsonArray ?? []).OfType<JsonValue>().Select(page => page.TryGetValue<string>(out var name) ? name : "")
            .Select(name => name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name).Where(name => name.Length > 0),
    ];
}
