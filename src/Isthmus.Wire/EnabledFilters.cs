using System.Collections;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Wire;

/// <summary>A filter that a route switches on without saying more: its <see cref="FilterConfig"/> has a configuration, which is empty. The readers of
/// protojson know no Any without a type, so that in what they read, an <see cref="Empty"/> stands for it.</summary>
public static class EnabledFilters
{
    private const string TypeUrl = "type.googleapis.com/envoy.config.route.v3.FilterConfig", Field = "config";

    /// <summary>What stands for the empty configuration.</summary>
    public static JsonObject Placeholder => new() { ["@type"] = "type.googleapis.com/google.protobuf.Empty", ["value"] = new JsonObject() };

    /// <summary>Whether a member of an object is such a configuration.</summary>
    public static bool Is(JsonObject owner, string member) =>
        member == Field && owner[Field] is JsonObject { Count: 0 } && owner["@type"]?.ToString() == TypeUrl;

    /// <summary>Whether a configuration switches the filter on, and says no more.</summary>
    public static bool Is(Any config) => config.TypeUrl.Length == 0 || config.Is(Empty.Descriptor);

    /// <summary>Puts empty configurations in place of what stood for them, also inside of typed configuration.</summary>
    public static void Restore(IMessage message)
    {
        if (message is FilterConfig { Config: not null } wrapper && Is(wrapper.Config)) wrapper.Config = new();
        foreach (var field in message.Descriptor.Fields.InDeclarationOrder().Where(field => field.FieldType == FieldType.Message))
        {
            var value = field.Accessor.GetValue(message);
            foreach (var item in value switch { IDictionary map => map.Values, IList list => list, null => Array.Empty<object>(), _ => new[] { value } })
            {
                if (item is Any any) RestoreIn(any);
                else if (item is IMessage inner) Restore(inner);
            }
        }
    }

    private static void RestoreIn(Any any)
    {
        if (any.TypeUrl.Length == 0 || WireTypes.Registry.Find(Any.GetTypeName(any.TypeUrl)) is not { } type) return;
        var inner = type.Parser.ParseFrom(any.Value);
        Restore(inner);
        any.Value = inner.ToByteString();
    }
}
