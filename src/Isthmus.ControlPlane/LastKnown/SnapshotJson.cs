using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>
/// Snapshots as JSON: the records as they are, so that a fact added to them is kept, too; of Pods, what <see cref="StoredPod"/> has. A value that
/// is missing or null where it must not be is rejected.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    IgnoreReadOnlyProperties = true,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    Converters =
    [
        typeof(ListConverter<string>), typeof(ListConverter<Address>), typeof(ListConverter<EndpointAddress>), typeof(ListConverter<ServicePort>),
        typeof(ListConverter<SliceAddress>), typeof(ListConverter<ClusterService>),
        typeof(ListConverter<SliceFacts>), typeof(ListConverter<Workload>), typeof(ListConverter<NodeFacts>), typeof(ListConverter<NamespaceFacts>),
        typeof(ListConverter<ServiceExport>), typeof(ListConverter<OfferedPort>), typeof(ListConverter<ExportCondition>), typeof(ListConverter<WorkloadEntry>),
        typeof(MapConverter<string>), typeof(MapConverter<int>), typeof(WordConverter<Protocol>), typeof(WordConverter<EndpointHealth>), typeof(PodConverter),
    ])]
[JsonSerializable(typeof(ClusterSnapshot))]
[JsonSerializable(typeof(StoredPod))]
[JsonSerializable(typeof(Address))]
[JsonSerializable(typeof(EndpointAddress))]
[JsonSerializable(typeof(ServicePort))]
[JsonSerializable(typeof(SliceAddress))]
[JsonSerializable(typeof(OfferedPort))]
[JsonSerializable(typeof(ExportCondition))]
[JsonSerializable(typeof(int))]
internal sealed partial class SnapshotJson : JsonSerializerContext;

internal sealed class ListConverter<T> : JsonConverter<ValueList<T>>
{
    public override ValueList<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw new JsonException("expected a list");
        var type = (JsonTypeInfo<T>)options.GetTypeInfo(typeof(T));
        var items = new List<T>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            items.Add(JsonSerializer.Deserialize(ref reader, type) ?? throw new JsonException("a list contains null"));
        return items.ToValueList();
    }

    public override void Write(Utf8JsonWriter writer, ValueList<T> value, JsonSerializerOptions options)
    {
        var type = (JsonTypeInfo<T>)options.GetTypeInfo(typeof(T));
        writer.WriteStartArray();
        foreach (var item in value) JsonSerializer.Serialize(writer, item, type);
        writer.WriteEndArray();
    }
}

internal sealed class MapConverter<T> : JsonConverter<ValueMap<T>>
{
    public override ValueMap<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw new JsonException("expected a mapping");
        var type = (JsonTypeInfo<T>)options.GetTypeInfo(typeof(T));
        var items = new Dictionary<string, T>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            items[key] = JsonSerializer.Deserialize(ref reader, type) ?? throw new JsonException("a mapping contains null");
        }
        return items.ToValueMap();
    }

    public override void Write(Utf8JsonWriter writer, ValueMap<T> value, JsonSerializerOptions options)
    {
        var type = (JsonTypeInfo<T>)options.GetTypeInfo(typeof(T));
        writer.WriteStartObject();
        foreach (var (key, item) in value)
        {
            writer.WritePropertyName(key);
            JsonSerializer.Serialize(writer, item, type);
        }
        writer.WriteEndObject();
    }
}

/// <summary>Enumerations by name; a number could be one that does not exist.</summary>
internal sealed class WordConverter<T>() : JsonStringEnumConverter<T>(null, allowIntegerValues: false) where T : struct, Enum;
