using Isthmus.Wire.Envoy;

namespace Isthmus.Mesh.Generate;

/// <summary>Matches of parts of a text. Envoy refuses those of an empty part, and with them the whole listener or route configuration: everything begins
/// and ends with nothing.</summary>
internal static class TextMatches
{
    public static StringMatcher Prefix(string text, bool ignoreCase = false) =>
        text.Length == 0 ? Everything : new() { Prefix = text, IgnoreCase = ignoreCase };

    public static StringMatcher Suffix(string text, bool ignoreCase = false) =>
        text.Length == 0 ? Everything : new() { Suffix = text, IgnoreCase = ignoreCase };

    public static StringMatcher Regex(string regex) => new() { SafeRegex = RouteMatches.Regex(regex) };

    private static StringMatcher Everything => Regex(".*");
}
