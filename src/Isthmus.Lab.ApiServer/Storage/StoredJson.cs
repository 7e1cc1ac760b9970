using System.Buffers;
using System.Collections.Frozen;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>Objects as bytes: kind and apiVersion first, so that lists can leave them out without parsing.</summary>
internal static class StoredJson
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
    private static readonly FrozenDictionary<string, string> NoLabels = FrozenDictionary<string, string>.Empty;

    /// <summary>Writes the tree with this revision as its resourceVersion.</summary>
    internal static StoredObject Write(JsonObject o, long revision)
    {
        var metadata = (JsonObject)o["metadata"]!;
        // A dry run has no revision yet.
        if (revision == 0) metadata.Remove("resourceVersion");
        else metadata["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture);
        var buffer = new ArrayBufferWriter<byte>(1024);
        int bodyStart;
        using (var writer = new Utf8JsonWriter(buffer, Options))
        {
            writer.WriteStartObject();
            writer.WriteString("kind", (string?)o["kind"]);
            writer.WriteString("apiVersion", (string?)o["apiVersion"]);
            writer.Flush();
            bodyStart = buffer.WrittenCount + 1;
            foreach (var (name, value) in o)
            {
                if (name is "kind" or "apiVersion") continue;
                writer.WritePropertyName(name);
                if (value is null) writer.WriteNullValue();
                else value.WriteTo(writer);
            }
            writer.WriteEndObject();
        }
        return new(Text(metadata, "namespace"), Text(metadata, "name"), Text(metadata, "uid"), revision,
            buffer.WrittenSpan.ToArray(), bodyStart, Labels(metadata["labels"] as JsonObject));
    }

    internal static StoredObject Read(ReadOnlySpan<byte> json, long revision)
    {
        var tree = JsonText.ParseObject(json);
        var metadata = (JsonObject)tree["metadata"]!;
        return new(Text(metadata, "namespace"), Text(metadata, "name"), Text(metadata, "uid"), revision,
            json.ToArray(), BodyStart(json), Labels(metadata["labels"] as JsonObject));
    }

    private static int BodyStart(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        // { "kind" : "…" "apiVersion" : "…": five tokens, then a comma.
        for (var token = 0; token < 5; token++) reader.Read();
        return (int)reader.BytesConsumed + 1;
    }

    private static string Text(JsonObject metadata, string name) => (string?)metadata[name] ?? "";

    private static IReadOnlyDictionary<string, string> Labels(JsonObject? labels)
    {
        if (labels is null || labels.Count == 0) return NoLabels;
        var copy = new Dictionary<string, string>(labels.Count, StringComparer.Ordinal);
        foreach (var (key, value) in labels) copy[key] = (string?)value ?? "";
        return copy;
    }
}
