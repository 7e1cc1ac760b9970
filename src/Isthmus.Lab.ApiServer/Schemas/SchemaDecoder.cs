using System.Buffers.Text;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Schemas;

/// <summary>The JSON does not fit the type; the message is Go's, because clients print it.</summary>
public sealed class DecodeException(string message) : Exception(message);

/// <summary>
/// Reads JSON as one of the built-in types: unknown and duplicate fields are left out and reported, nulls are left out,
/// wrong types are rejected, times and quantities are checked. Without a type, everything is accepted.
/// </summary>
public static class SchemaDecoder
{
    private static readonly TypeSchema ObjectMeta = BuiltInTypes.Find("meta/v1.ObjectMeta")!;
    private static readonly JsonReaderOptions Options = new() { MaxDepth = JsonText.MaxDepth };

    /// <param name="type">Null for custom resources: only their metadata is typed.</param>
    /// <param name="strict">Gets one text for each unknown or duplicate field.</param>
    /// <exception cref="JsonException">Not JSON, or nested too deep.</exception>
    /// <exception cref="DecodeException">Wrong types.</exception>
    public static JsonObject Decode(ReadOnlySpan<byte> utf8, TypeSchema? type, List<string> strict)
    {
        var reader = new Utf8JsonReader(utf8, Options);
        if (!reader.Read()) throw new JsonException("unexpected end of JSON input");
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new DecodeException($"json: cannot unmarshal {GoName(reader.TokenType)} into Go value of type object");
        var decoder = new Decoder(strict, type is null ? "" : Short(type.Name));
        var result = decoder.Object(ref reader, type, "", isRoot: true);
        if (reader.Read()) throw new JsonException("invalid character after top-level value");
        return result;
    }

    private static string Short(string name) => name[(name.LastIndexOf('.') + 1)..];

    private static string GoName(JsonTokenType token) => token switch
    {
        JsonTokenType.StartArray => "array",
        JsonTokenType.StartObject => "object",
        JsonTokenType.String => "string",
        JsonTokenType.Number => "number",
        JsonTokenType.Null => "null",
        _ => "bool",
    };

    private readonly struct Decoder(List<string> strict, string root)
    {
        internal JsonObject Object(ref Utf8JsonReader reader, TypeSchema? type, string path, bool isRoot)
        {
            var result = new JsonObject();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                var at = path.Length == 0 ? name : $"{path}.{name}";
                var field = type?.Field(name);
                var isTypeMeta = (isRoot || type is { HasTypeMeta: true }) && name is "kind" or "apiVersion";
                reader.Read();
                if (type is not null && field is null && !isTypeMeta)
                {
                    strict.Add($"unknown field \"{at}\"");
                    reader.Skip();
                    continue;
                }
                if (result.ContainsKey(name))
                {
                    strict.Add($"duplicate field \"{at}\"");
                    result.Remove(name);
                }
                if (reader.TokenType == JsonTokenType.Null && type is not null) continue;
                result[name] = isTypeMeta ? Text(ref reader, at)
                    : field is not null ? Shaped(ref reader, type!, field, at)
                    : isRoot && name == "metadata" ? Metadata(ref reader, at)
                    : Any(ref reader, at);
            }
            return result;
        }

        private JsonNode? Metadata(ref Utf8JsonReader reader, string path) =>
            reader.TokenType == JsonTokenType.StartObject ? Object(ref reader, ObjectMeta, path, false) : throw Wrong(ref reader, path, "ObjectMeta");

        private JsonNode? Shaped(ref Utf8JsonReader reader, TypeSchema owner, FieldSchema field, string path)
        {
            if (field.Shape == FieldShape.Single) return Value(ref reader, owner, field, path);
            if (field.Shape == FieldShape.Map)
            {
                if (reader.TokenType != JsonTokenType.StartObject) throw Wrong(ref reader, path, "map");
                var map = new JsonObject();
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    var key = reader.GetString()!;
                    if (map.Remove(key)) strict.Add($"duplicate field \"{path}.{key}\"");
                    reader.Read();
                    if (reader.TokenType == JsonTokenType.Null)
                    {
                        if (field.Type == FieldType.String) map[key] = "";
                        continue;
                    }
                    map[key] = Value(ref reader, owner, field, field.Type == FieldType.Message ? $"{path}.{key}" : path);
                }
                return map;
            }
            if (reader.TokenType != JsonTokenType.StartArray) throw Wrong(ref reader, path, $"[]{GoType(field)}");
            var list = new JsonArray();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                if (reader.TokenType == JsonTokenType.Null) continue;
                list.Add(Value(ref reader, owner, field, $"{path}[{list.Count}]"));
            }
            return list;
        }

        private JsonNode? Value(ref Utf8JsonReader reader, TypeSchema owner, FieldSchema field, string path)
        {
            switch (field.Type)
            {
                case FieldType.Message:
                    return reader.TokenType == JsonTokenType.StartObject
                        ? Object(ref reader, owner.TypeOf(field) ?? throw new InvalidOperationException($"no type {field.TypeName}"), path, false)
                        : throw Wrong(ref reader, path, $"v1.{Short(field.TypeName)}");
                case FieldType.String:
                    return Text(ref reader, path);
                case FieldType.Bool:
                    return reader.TokenType is JsonTokenType.True or JsonTokenType.False
                        ? JsonValue.Create(reader.GetBoolean())
                        : throw Wrong(ref reader, path, "bool");
                case FieldType.Int32:
                    return reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var i)
                        ? JsonValue.Create(i)
                        : throw Wrong(ref reader, path, "int32");
                case FieldType.Int64:
                    return reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var l)
                        ? JsonValue.Create(l)
                        : throw Wrong(ref reader, path, "int64");
                case FieldType.Double:
                    return reader.TokenType == JsonTokenType.Number ? JsonValue.Create(reader.GetDouble()) : throw Wrong(ref reader, path, "float64");
                case FieldType.Bytes:
                    return Base64(ref reader, path);
                case FieldType.IntOrString:
                    return reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var n) ? JsonValue.Create(n)
                        : reader.TokenType == JsonTokenType.String ? Text(ref reader, path)
                        : throw Wrong(ref reader, path, "int32");
                case FieldType.Quantity:
                    return Quantity(ref reader);
                case FieldType.Time:
                    return Time(ref reader, path);
                case FieldType.MicroTime:
                    return MicroTime(ref reader, path);
                case FieldType.StringList:
                    return Strings(ref reader, path);
                default:
                    return field.Type == FieldType.Duration ? Text(ref reader, path) : Any(ref reader, path);
            }
        }

        private JsonArray Strings(ref Utf8JsonReader reader, string path)
        {
            if (reader.TokenType != JsonTokenType.StartArray) throw Wrong(ref reader, path, "[]string");
            var list = new JsonArray();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) list.Add((JsonNode)Text(ref reader, path));
            return list;
        }

        private JsonValue Text(ref Utf8JsonReader reader, string path) =>
            reader.TokenType == JsonTokenType.String ? JsonValue.Create(reader.GetString()!) : throw Wrong(ref reader, path, "string");

        private JsonValue Base64(ref Utf8JsonReader reader, string path)
        {
            if (reader.TokenType != JsonTokenType.String) throw Wrong(ref reader, path, "[]uint8");
            var text = reader.GetString()!;
            return Convert.TryFromBase64String(text, new byte[(text.Length * 3 / 4) + 3], out _)
                ? JsonValue.Create(text)
                : throw new DecodeException($"illegal base64 data at input byte {text.TakeWhile(IsBase64).Count()}");
        }

        private static bool IsBase64(char c) => char.IsAsciiLetterOrDigit(c) || c is '+' or '/';

        private static JsonValue Quantity(ref Utf8JsonReader reader)
        {
            var text = reader.TokenType == JsonTokenType.String ? reader.GetString()!
                : reader.TokenType == JsonTokenType.Number ? System.Text.Encoding.UTF8.GetString(reader.ValueSpan)
                : "";
            return JsonValue.Create(Kubernetes.Objects.Quantity.Canonical(text)
                ?? throw new DecodeException("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"));
        }

        private JsonValue Time(ref Utf8JsonReader reader, string path)
        {
            var text = (string?)Text(ref reader, path);
            return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
                && text!.Contains('T', StringComparison.Ordinal)
                ? JsonValue.Create(ApiTime.Seconds(time))
                : throw new DecodeException($"parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{text}\" as \"2006\"");
        }

        private JsonValue MicroTime(ref Utf8JsonReader reader, string path)
        {
            var text = (string?)Text(ref reader, path) ?? "";
            var dot = text.IndexOf('.', StringComparison.Ordinal);
            var digits = dot < 0 ? 0 : text.Skip(dot + 1).TakeWhile(char.IsAsciiDigit).Count();
            return digits == 6 && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
                ? JsonValue.Create(ApiTime.Micros(time))
                : throw new DecodeException(
                    $"parsing time \"{text}\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"{(text.Length > 19 ? text[19..] : text)}\" as "
                        + $"\".000000\"");
        }

        private JsonNode? Any(ref Utf8JsonReader reader, string path)
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.StartObject:
                    return Object(ref reader, null, path, false);
                case JsonTokenType.StartArray:
                    var list = new JsonArray();
                    while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) list.Add(Any(ref reader, $"{path}[{list.Count}]"));
                    return list;
                case JsonTokenType.String:
                    return JsonValue.Create(reader.GetString());
                case JsonTokenType.Number:
                    return reader.TryGetInt64(out var whole) ? JsonValue.Create(whole)
                        : Utf8Parser.TryParse(reader.ValueSpan, out double real, out _) && double.IsFinite(real) ? JsonValue.Create(real)
                        : throw new DecodeException(
                            $"json: cannot unmarshal number {System.Text.Encoding.UTF8.GetString(reader.ValueSpan)} into Go value of type float64");
                case JsonTokenType.Null:
                    return null;
                default:
                    return JsonValue.Create(reader.GetBoolean());
            }
        }

        private DecodeException Wrong(ref Utf8JsonReader reader, string path, string goType)
        {
            var bare = System.Text.RegularExpressions.Regex.Replace(path, @"\[\d+\]", "");
            var owner = root.Length > 0 ? $"{root}." : "";
            var number = reader.TokenType == JsonTokenType.Number && goType.StartsWith("int", StringComparison.Ordinal)
                ? " " + System.Text.Encoding.UTF8.GetString(reader.ValueSpan) : "";
            return new($"json: cannot unmarshal {GoName(reader.TokenType)}{number} into Go struct field {owner}{bare} of type {goType}");
        }

        private static string GoType(FieldSchema field) => field.Type switch
        {
            FieldType.String => "string",
            FieldType.Int32 => "int32",
            FieldType.Int64 => "int64",
            FieldType.Bool => "bool",
            FieldType.Message => $"v1.{Short(field.TypeName)}",
            _ => "string",
        };
    }
}
