using System.Text.Json.Nodes;
using Isthmus.Wire;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Types of messages that this proxy does not know, in resources as JSON. JSON can only be packed into an Any of a known type: the names of
/// others are kept, so that they are refused or noted by name.</summary>
internal static class UnknownTypes
{
    /// <summary>A copy in which each is replaced by its name, as text.</summary>
    /// <param name="unknown">Receives the name of each.</param>
    internal static JsonNode? Replaced(JsonNode? node, Action<string> unknown)
    {
        switch (node)
        {
            case JsonObject item when item["@type"]?.GetValue<string>() is { } type && WireTypes.Registry.Find(type[(type.LastIndexOf('/') + 1)..]) is null:
                unknown(type);
                return new JsonObject { ["@type"] = "type.googleapis.com/google.protobuf.StringValue", ["value"] = type };
            case JsonObject item:
                var copy = new JsonObject();
                foreach (var (name, value) in item) copy[name] = EnabledFilters.Is(item, name) ? EnabledFilters.Placeholder : Replaced(value, unknown);
                return copy;
            case JsonArray list:
                var all = new JsonArray();
                foreach (var value in list) all.Add(Replaced(value, unknown));
                return all;
            default:
                return node?.DeepClone();
        }
    }
}
