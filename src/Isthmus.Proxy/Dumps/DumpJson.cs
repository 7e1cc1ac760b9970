using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Google.Protobuf;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;

namespace Isthmus.Proxy.Dumps;

/// <summary>JSON for dumps.</summary>
internal static class DumpJson
{
    /// <summary>A resource with its type; of parts of unknown types, only the type is shown.</summary>
    public static JsonObject Resource(string typeUrl, string name, IMessage message)
    {
        try
        {
            var json = ShownMessages.Show(message);
            json.Insert(0, "@type", typeUrl);
            return json;
        }
        catch (InvalidOperationException e)
        {
            return new JsonObject { ["@type"] = typeUrl, ["name"] = name, ["isthmus_note"] = $"not shown: {e.Message}" };
        }
    }

    /// <summary>An address as Envoy's messages have it.</summary>
    public static JsonObject Address(EndPoint address) => address switch
    {
        IPEndPoint ip => new() { ["socket_address"] = new JsonObject { ["address"] = ip.Address.ToString(), ["port_value"] = ip.Port } },
        InternalEndPoint inside => new()
        {
            ["envoy_internal_address"] = new JsonObject { ["server_listener_name"] = inside.Listener, ["endpoint_id"] = inside.Id },
        },
        _ => new() { ["pipe"] = new JsonObject { ["path"] = address.ToString() } },
    };

    public static JsonArray List(IEnumerable<JsonNode> items)
    {
        var list = new JsonArray();
        foreach (var item in items) list.Add(item);
        return list;
    }

    /// <summary>A page that only programs of Isthmus read.</summary>
    /// <inheritdoc cref="Text(JsonNode, bool)"/>
    public static string Text<T>(T report, JsonTypeInfo<T> type, bool indented = true) =>
        Text(writer => JsonSerializer.Serialize(writer, report, type), indented);

    public static JsonNode Time(DateTimeOffset time) =>
        JsonValue.Create(time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture));

    /// <param name="indented">For people. A dump for a program is a third shorter without.</param>
    public static string Text(JsonNode node, bool indented = true) => Text(writer => node.WriteTo(writer), indented);

    private static string Text(Action<Utf8JsonWriter> write, bool indented)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream,
            new JsonWriterOptions { Indented = indented, IndentSize = 1, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            write(writer);
        stream.WriteByte((byte)'\n');
        return System.Text.Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }
}
