using System.Text;

namespace Isthmus.Lab.ApiServer.Values;

/// <summary>Prints values as Go's formats do, where a recorded error text contains them.</summary>
internal static class GoText
{
    /// <summary><c>%q</c> of a text.</summary>
    public static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var c in text)
            quoted.Append(c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                < ' ' or '\x7f' => $"\\x{(int)c:x2}",
                _ => c.ToString(),
            });
        return quoted.Append('"').ToString();
    }

    /// <summary><c>%q</c> of a list: <c>["a" "b"]</c>.</summary>
    public static string List(IEnumerable<string> texts) => $"[{string.Join(' ', texts.Select(Quote))}]";

    /// <summary><c>%#v</c> of a <c>map[string]string</c>.</summary>
    public static string Map(IEnumerable<KeyValuePair<string, string>>? map) => map is null
        ? "map[string]string(nil)"
        : $"map[string]string{{{string.Join(", ", map.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => $"{Quote(pair.Key)}:{Quote(pair.Value)}"))}}}";
}
