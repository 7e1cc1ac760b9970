using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Protobuf;

/// <summary>
/// One message as JSON. Go's encoder writes plain fields even when they are zero, and JSON leaves those out: so zeros are dropped,
/// except for fields that are pointers in Go, where a zero is explicit.
/// </summary>
internal readonly struct ProtobufObject
{
    private const int MaxDepth = 64;

    private static readonly HashSet<string> Pointers = new(StringComparer.Ordinal)
    {
        "replicas", "terminationGracePeriodSeconds", "automountServiceAccountToken", "parallelism", "completions", "backoffLimit", "enableServiceLinks",
        "runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "privileged", "partition", "defaultMode",
        "mode", "gracePeriodSeconds", "orphanDependents", "blockOwnerDeletion", "controller", "averageUtilization", "ttlSecondsAfterFinished",
        "activeDeadlineSeconds", "immutable", "suspend", "optional", "minReplicas", "stabilizationWindowSeconds", "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit", "revisionHistoryLimit", "startingDeadlineSeconds", "tolerationSeconds", "timeoutSeconds", "publishNotReadyAddresses",
        "allocateLoadBalancerNodePorts", "expirationSeconds", "shareProcessNamespace", "ready", "serving", "terminating",
    };

    public ProtobufObject()
    {
    }

    internal JsonObject Message(ReadOnlySpan<byte> bytes, TypeSchema type, int depth)
    {
        var result = new JsonObject();
        Into(result, bytes, type, depth);
        return result;
    }

    private void Into(JsonObject result, ReadOnlySpan<byte> bytes, TypeSchema type, int depth)
    {
        if (depth > MaxDepth) throw new WireException($"nesting is deeper than {MaxDepth}");
        var reader = new WireReader(bytes);
        while (reader.Next())
        {
            var field = type.WireField(reader.Number);
            if (field is null) reader.Skip();
            else if (field.Inline) Into(result, reader.Bytes(), Type(type, field), depth + 1);
            else if (field.Shape == FieldShape.Map) Entry(result, field, type, reader.Bytes(), depth);
            else if (field.Shape == FieldShape.List) Items(result, field, type, ref reader, depth);
            else if (Value(ref reader, field, type, depth) is { } value && !IsZero(field, value)) result[field.Name] = value;
        }
    }

    private void Items(JsonObject result, FieldSchema field, TypeSchema type, ref WireReader reader, int depth)
    {
        if (result[field.Name] is not JsonArray list) result[field.Name] = list = [];
        var isNumber = field.Type is FieldType.Int32 or FieldType.Int64 or FieldType.Bool;
        if (!isNumber || reader.WireType != 2)
        {
            list.Add(Value(ref reader, field, type, depth));
            return;
        }
        var packed = new WireReader(reader.Bytes());
        while (packed.HasMore) list.Add((JsonNode)Number(field.Type, (long)packed.Varint()));
    }

    private void Entry(JsonObject result, FieldSchema field, TypeSchema type, ReadOnlySpan<byte> bytes, int depth)
    {
        if (result[field.Name] is not JsonObject map) result[field.Name] = map = [];
        var key = "";
        JsonNode? value = field.Type is FieldType.String or FieldType.Bytes ? "" : null;
        var reader = new WireReader(bytes);
        while (reader.Next())
        {
            if (reader.Number == 1) key = reader.Text();
            else if (reader.Number == 2) value = Value(ref reader, field, type, depth);
            else reader.Skip();
        }
        map[key] = value;
    }

    private JsonNode? Value(ref WireReader reader, FieldSchema field, TypeSchema type, int depth)
    {
        switch (field.Type)
        {
            case FieldType.String:
                return reader.Text();
            case FieldType.Int32 or FieldType.Int64 or FieldType.Bool:
                return Number(field.Type, reader.Number64());
            case FieldType.Double:
                return reader.Double();
            case FieldType.Bytes:
                return Convert.ToBase64String(reader.Bytes());
            case FieldType.Message:
                return Message(reader.Bytes(), Type(type, field), depth + 1);
            case FieldType.Time or FieldType.MicroTime:
                return Time(reader.Bytes(), field.Type);
            case FieldType.Any:
                return Json(Inner(reader.Bytes()));
            case FieldType.Quantity:
                return System.Text.Encoding.UTF8.GetString(Inner(reader.Bytes()));
            case FieldType.IntOrString:
                return IntOrString(reader.Bytes());
            case FieldType.StringList:
                return Strings(reader.Bytes());
            default:
                return Duration(reader.Bytes());
        }
    }

    private static JsonValue Number(FieldType type, long value) =>
        type == FieldType.Bool ? JsonValue.Create(value != 0) : type == FieldType.Int32 ? JsonValue.Create((int)value) : JsonValue.Create(value);

    private static bool IsZero(FieldSchema field, JsonNode value)
    {
        if (Pointers.Contains(field.Name)) return false;
        return field.Type switch
        {
            FieldType.String => ((string?)value)!.Length == 0,
            FieldType.Int32 => (int)value == 0,
            FieldType.Int64 => (long)value == 0,
            FieldType.Bool => !(bool)value,
            FieldType.Double => (double)value == 0,
            FieldType.Quantity => ((string?)value)!.Length == 0,
            // targetPort and similar fields are plain in Go: zero means that the field was not set.
            FieldType.IntOrString => value.GetValueKind() == JsonValueKind.Number && (int)value == 0,
            FieldType.Message => field.Name is "status" or "strategy" or "updateStrategy" or "dataSource" && value is JsonObject { Count: 0 },
            _ => false,
        };
    }

    private static TypeSchema Type(TypeSchema owner, FieldSchema field) =>
        owner.TypeOf(field) ?? throw new InvalidOperationException($"no type {field.TypeName}");

    /// <summary>The single bytes field of Quantity, RawExtension and FieldsV1.</summary>
    private static ReadOnlySpan<byte> Inner(ReadOnlySpan<byte> bytes)
    {
        var reader = new WireReader(bytes);
        ReadOnlySpan<byte> inner = default;
        while (reader.Next())
        {
            if (reader.Number == 1) inner = reader.Bytes();
            else reader.Skip();
        }
        return inner;
    }

    private static JsonNode? Json(ReadOnlySpan<byte> json)
    {
        if (json.IsEmpty) return null;
        try
        {
            return JsonNode.Parse(json, documentOptions: new() { MaxDepth = JsonText.MaxDepth });
        }
        catch (JsonException e)
        {
            throw new WireException($"raw JSON inside: {e.Message}");
        }
    }

    private static JsonValue? Time(ReadOnlySpan<byte> bytes, FieldType type)
    {
        long seconds = 0, nanos = 0;
        var any = false;
        var reader = new WireReader(bytes);
        while (reader.Next())
        {
            any = true;
            if (reader.Number == 1) seconds = reader.Number64();
            else if (reader.Number == 2) nanos = reader.Number64();
            else reader.Skip();
        }
        // Year 1 is Go's zero time; an empty message means no time.
        if (!any || seconds is < -62135596800 or > 253402300799 || seconds == -62135596800) return null;
        var time = DateTimeOffset.FromUnixTimeSeconds(seconds).AddTicks(Math.Clamp(nanos, 0, 999_999_999) / 100);
        return JsonValue.Create(type == FieldType.Time ? ApiTime.Seconds(time) : ApiTime.Micros(time));
    }

    private static JsonValue IntOrString(ReadOnlySpan<byte> bytes)
    {
        var (isText, number, text) = (false, 0L, "");
        var reader = new WireReader(bytes);
        while (reader.Next())
        {
            if (reader.Number == 1) isText = reader.Number64() == 1;
            else if (reader.Number == 2) number = reader.Number64();
            else if (reader.Number == 3) text = reader.Text();
            else reader.Skip();
        }
        return isText ? JsonValue.Create(text) : JsonValue.Create((int)number);
    }

    private static JsonArray Strings(ReadOnlySpan<byte> bytes)
    {
        var list = new JsonArray();
        var reader = new WireReader(bytes);
        while (reader.Next())
        {
            if (reader.Number == 1) list.Add((JsonNode)reader.Text());
            else reader.Skip();
        }
        return list;
    }

    private static JsonValue Duration(ReadOnlySpan<byte> bytes)
    {
        long nanos = 0;
        var reader = new WireReader(bytes);
        while (reader.Next())
        {
            if (reader.Number == 1) nanos = reader.Number64();
            else reader.Skip();
        }
        return JsonValue.Create($"{(decimal)nanos / 1_000_000_000m:0.#########}s");
    }
}
