using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Isthmus.Lab.ApiServer.Values;

/// <summary>How this server reads and writes JSON.</summary>
public static class JsonText
{
    /// <summary>Nothing is escaped that JSON does not demand.</summary>
    public static readonly JsonSerializerOptions Relaxed = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        TypeInfoResolver = new DefaultNodeResolver(),
        MaxDepth = MaxDepth + 8,
    };

    /// <summary>Deepest nesting that is read from a client.</summary>
    public const int MaxDepth = 128;

    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private static readonly JsonWriterOptions Indented = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, Indented = true, SkipValidation = true
    };

    public static byte[] ToBytes(JsonNode node, bool indented = false)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, indented ? Indented : Compact)) node.WriteTo(writer);
        return buffer.WrittenSpan.ToArray();
    }

    public static JsonObject ParseObject(ReadOnlySpan<byte> utf8) =>
        JsonNode.Parse(utf8, documentOptions: new() { MaxDepth = MaxDepth + 8 }) as JsonObject ?? throw new JsonException("not an object");

    private sealed class DefaultNodeResolver : IJsonTypeInfoResolver
    {
        public JsonTypeInfo? GetTypeInfo(Type type, JsonSerializerOptions options) =>
            type == typeof(JsonNode) ? JsonMetadataServices.CreateValueInfo<JsonNode?>(options, JsonMetadataServices.JsonNodeConverter)
            : type == typeof(JsonObject) ? JsonMetadataServices.CreateValueInfo<JsonObject?>(options, JsonMetadataServices.JsonObjectConverter)
            : type == typeof(string) ? JsonMetadataServices.CreateValueInfo<string>(options, JsonMetadataServices.StringConverter)
            : type == typeof(int) ? JsonMetadataServices.CreateValueInfo<int>(options, JsonMetadataServices.Int32Converter)
            : type == typeof(long) ? JsonMetadataServices.CreateValueInfo<long>(options, JsonMetadataServices.Int64Converter)
            : type == typeof(bool) ? JsonMetadataServices.CreateValueInfo<bool>(options, JsonMetadataServices.BooleanConverter)
            : type == typeof(double) ? JsonMetadataServices.CreateValueInfo<double>(options, JsonMetadataServices.DoubleConverter)
            : null;
    }
}
