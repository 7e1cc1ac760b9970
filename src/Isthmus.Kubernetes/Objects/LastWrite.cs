using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>Who wrote an object last, according to its <c>metadata.managedFields</c>. Writes of subresources do not count.</summary>
/// <param name="Manager">The field manager; null when the object does not say.</param>
/// <param name="At">When, by the API server's clock, to the second.</param>
[JsonConverter(typeof(LastWriteConverter))]
public readonly record struct LastWrite(string? Manager, DateTimeOffset? At)
{
    /// <summary>Reads <c>metadata.managedFields</c> of an object that was read as a tree.</summary>
    public static LastWrite Of(JsonObject item)
    {
        var last = default(LastWrite);
        foreach (var entry in (item["metadata"]?["managedFields"] as JsonArray ?? []).OfType<JsonObject>())
        {
            if (entry["subresource"] is not null || entry["manager"]?.ToString() is not { } manager) continue;
            var at = DateTimeOffset.TryParse(entry["time"]?.ToString(), System.Globalization.CultureInfo.InvariantCulture, out var time)
                ? time
                : (DateTimeOffset?)null;
            if (last.Manager is null || at >= last.At) last = new(manager, at);
        }
        return last;
    }
}

/// <summary>Reads only manager and time of the entries: the fields that they list are long, and are skipped.</summary>
internal sealed class LastWriteConverter : JsonConverter<LastWrite>
{
    private const int MostKnown = 64;

    // A cluster has few managers and many objects: a name that was seen before is not allocated again. Replaced, never changed.
    private static volatile string[] _known = [];

    public override bool HandleNull => true;

    public override LastWrite Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var last = default(LastWrite);
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return last;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            if (Entry(ref reader) is { Manager: not null } entry && (last.Manager is null || entry.At >= last.At)) last = entry;
        }
        return last;
    }

    private static LastWrite Entry(ref Utf8JsonReader reader)
    {
        var (manager, at, isSubresource) = ((string?)null, (DateTimeOffset?)null, false);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isManager, isTime, isSub) = (reader.ValueTextEquals("manager"u8), reader.ValueTextEquals("time"u8), reader.ValueTextEquals("subresource"u8));
            reader.Read();
            if (reader.TokenType != JsonTokenType.String) reader.Skip();
            else if (isManager) manager = Known(ref reader);
            else if (isTime && reader.TryGetDateTimeOffset(out var time)) at = time;
            else if (isSub) isSubresource = true;
        }
        return isSubresource ? default : new(manager, at);
    }

    private static string Known(ref Utf8JsonReader reader)
    {
        var known = _known;
        foreach (var name in known)
        {
            if (reader.ValueTextEquals(name)) return name;
        }
        var made = reader.GetString()!;
        if (known.Length < MostKnown) _known = [.. known, made];
        return made;
    }

    public override void Write(Utf8JsonWriter writer, LastWrite value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        if (value.Manager is not null)
        {
            writer.WriteStartObject();
            writer.WriteString("manager"u8, value.Manager);
            if (value.At is { } at) writer.WriteString("time"u8, at);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }
}
