using System.Collections;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Isthmus.Wire;

/// <summary>Protojson for people and dumps: what is embedded and cannot be shown, because its type is unknown or its bytes are malformed, appears as its type
/// alone, and what is empty as an empty object.</summary>
public static class ShownMessages
{
    private const string Mark = "isthmus: not shown: ", Type = "@type";

    /// <exception cref="InvalidOperationException">A value in the message has no meaning.</exception>
    public static JsonObject Show(IMessage message)
    {
        try
        {
            return JsonNode.Parse(WireTypes.Json.Format(message))!.AsObject();
        }
        catch (Exception e) when (e is InvalidOperationException or InvalidProtocolBufferException)
        {
            var copy = message.Descriptor.Parser.ParseFrom(message.ToByteString());
            if (copy is Any any) Hide(any);
            else HideIn(copy);
            return (JsonObject)Name(JsonNode.Parse(WireTypes.Json.Format(copy)))!;
        }
    }

    private static void HideIn(IMessage message)
    {
        foreach (var field in message.Descriptor.Fields.InDeclarationOrder().Where(field => field.FieldType == FieldType.Message))
        {
            var value = field.Accessor.GetValue(message);
            foreach (var item in value switch { IDictionary map => map.Values, IList list => list, null => Array.Empty<object>(), _ => new[] { value } })
            {
                if (item is Any any) Hide(any);
                else if (item is IMessage inner) HideIn(inner);
            }
        }
    }

    private static void Hide(Any any)
    {
        try
        {
            if (any.TypeUrl.Length > 0 && WireTypes.Registry.Find(any.TypeUrl[(any.TypeUrl.LastIndexOf('/') + 1)..]) is { } type)
            {
                var inner = type.Parser.ParseFrom(any.Value);
                if (inner is Any further) Hide(further);
                else HideIn(inner);
                any.Value = inner.ToByteString();
                return;
            }
        }
        catch (InvalidProtocolBufferException)
        {
            // It is shown as its type, too.
        }
        var named = Any.Pack(new StringValue { Value = Mark + any.TypeUrl });
        (any.TypeUrl, any.Value) = (named.TypeUrl, named.Value);
    }

    private static JsonNode? Name(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject item when item["value"] is JsonValue value && value.TryGetValue<string>(out var text)
                && text.StartsWith(Mark, StringComparison.Ordinal):
                return text.Length == Mark.Length ? [] : new JsonObject { [Type] = text[Mark.Length..] };
            case JsonObject item:
                return new JsonObject(item.Select(member => KeyValuePair.Create(member.Key, Name(member.Value))));
            case JsonArray list:
                return new JsonArray([.. list.Select(Name)]);
            default:
                return node?.DeepClone();
        }
    }
}
