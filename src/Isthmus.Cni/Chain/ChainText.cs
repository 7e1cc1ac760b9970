using System.Text;
using System.Text.Json;

namespace Isthmus.Cni.Chain;

/// <summary>
/// Edits a network configuration as text: our entry comes last in the list of plug-ins, and every other byte stays as it is. So removing the
/// entry restores the text, whoever wrote it.
/// </summary>
internal static class ChainText
{
    internal const string PluginType = "istio-cni";

    private readonly record struct Entry(int Start, int End, bool IsOurs);

    /// <summary>The list with our entry.</summary>
    /// <returns>Null if the text is not a list of plug-ins that a runtime would use.</returns>
    internal static string? With(string text, string entry)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        if (Entries(bytes) is not { Count: > 0 } entries) return null;
        // A second entry would capture twice.
        if (entries.Count(one => one.IsOurs) > 1) return Without(text) is { } clean ? With(clean, entry) : null;
        var at = entries.FindIndex(one => one.IsOurs);
        if (at >= 0) return entries.Count == 1 ? null : Splice(bytes, entries[at].Start, entries[at].End, entry);
        return Splice(bytes, entries[^1].End, entries[^1].End, $",{entry}");
    }

    /// <summary>The list without our entry.</summary>
    /// <returns>Null if the text is not a list of plug-ins, or has no other.</returns>
    internal static string? Without(string text)
    {
        while (true)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            if (Entries(bytes) is not { } entries) return null;
            var at = entries.FindIndex(one => one.IsOurs);
            if (at < 0) return text;
            if (entries.Count == 1) return null;
            text = at > 0 ? Splice(bytes, entries[at - 1].End, entries[at].End, "") : Splice(bytes, entries[0].Start, entries[1].Start, "");
        }
    }

    /// <summary>Makes a list of a configuration of one plug-in.</summary>
    /// <returns>Null if the text is not such a configuration.</returns>
    internal static string? Wrap(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            if (document.RootElement.ValueKind != JsonValueKind.Object || Text(document.RootElement, "type") is not { Length: > 0 } type || type == PluginType)
                return null;
            var version = Text(document.RootElement, "cniVersion") is { Length: > 0 } given ? $"\"cniVersion\": {Quoted(given)}, " : "";
            return $"{{{version}\"name\": {Quoted(Text(document.RootElement, "name") ?? "")}, \"plugins\": [\n{text}\n]}}\n";
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? Text(JsonElement from, string name) =>
        from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string Quoted(string text) => $"\"{JsonEncodedText.Encode(text)}\"";

    private static string Splice(byte[] text, int start, int end, string with) =>
        Encoding.UTF8.GetString(text, 0, start) + with + Encoding.UTF8.GetString(text, end, text.Length - end);

    /// <summary>Where the items of the list <c>plugins</c> begin and end.</summary>
    private static List<Entry>? Entries(byte[] text)
    {
        List<Entry>? found = null;
        var reader = new Utf8JsonReader(text);
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isList = reader.ValueTextEquals("plugins");
                reader.Read();
                // Of two lists, runtimes use the last, as Go does.
                if (isList) found = reader.TokenType == JsonTokenType.StartArray ? Items(ref reader) : null;
                else reader.Skip();
            }
            // Anything behind the object is an error.
            while (reader.Read()) { }
            return found;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <returns>Null if an item cannot be a plug-in.</returns>
    private static List<Entry>? Items(ref Utf8JsonReader reader)
    {
        var (items, valid) = (new List<Entry>(), true);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            var isOurs = false;
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    var isType = reader.ValueTextEquals("type");
                    reader.Read();
                    if (isType) isOurs = reader.TokenType == JsonTokenType.String && reader.ValueTextEquals(PluginType);
                    reader.Skip();
                }
            }
            else
            {
                valid = false;
                reader.Skip();
            }
            items.Add(new(start, (int)reader.BytesConsumed, isOurs));
        }
        return valid ? items : null;
    }
}
