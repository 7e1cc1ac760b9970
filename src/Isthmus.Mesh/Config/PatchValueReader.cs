using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Problems;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;
using Filter = Isthmus.Wire.Envoy.Listeners.Filter;

namespace Isthmus.Mesh.Config;

/// <summary>Reads the message of a patch. Every field that proxies do not honour is an error: half a patch would mean something else.</summary>
internal static class PatchValueReader
{
    private const string TypeField = "@type";

    /// <summary>What a message becomes whose type only Envoy knows.</summary>
    internal const string Struct = "xds.type.v3.TypedStruct";

    /// <summary>What people are told of patches that need discovery.</summary>
    internal const string OnlyEnvoysDiscover = "proxies of Isthmus do not discover the configuration of filters (ECDS): the patch";

    private const string Discovery = "config_discovery";

    private const string FilterForRoute = "envoy.config.route.v3.FilterConfig";

    /// <summary>What the names of types of typed configuration have in them, by the message that it is in.</summary>
    private static readonly Dictionary<string, string> Places = new(StringComparer.Ordinal)
    {
        [HttpFilter.Descriptor.FullName] = ".http.",
        [Filter.Descriptor.FullName] = ".network.",
        [ListenerFilter.Descriptor.FullName] = ".listener.",
        [AccessLog.Descriptor.FullName] = ".access_loggers.",
        [TransportSocket.Descriptor.FullName] = ".transport_sockets.",
        [Route.Descriptor.FullName] = ".http.",
        [VirtualHost.Descriptor.FullName] = ".http.",
        [RouteConfiguration.Descriptor.FullName] = ".http.",
    };

    /// <summary>The message as protojson, with TypedStructs as the messages that they describe; null when it has errors.</summary>
    /// <param name="value">The value.</param>
    /// <param name="type">The type of the message.</param>
    /// <param name="merges">The message is merged into another one.</param>
    public static string? Read(Field value, MessageDescriptor type, bool merges)
    {
        var plain = Message(value, type, merges);
        return value.IsWrong ? null : WireTypes.Json.Format(WireTypes.Strict.Parse(plain.ToJsonString(), type));
    }

    /// <summary>Whether a message that was read has configuration that only Envoy knows or discovers.</summary>
    public static bool IsForEnvoys(string json) =>
        json.Contains($"\"type.googleapis.com/{Struct}\"", StringComparison.Ordinal) || json.Contains("\"config_discovery\": {", StringComparison.Ordinal);

    private static JsonObject Message(Field value, MessageDescriptor type, bool merges)
    {
        var plain = new JsonObject();
        if (value.Node is not JsonObject members)
        {
            value.Error($"must be an object: a message {type.FullName}");
            return plain;
        }
        foreach (var (name, member) in members)
        {
            if (member is null || name == TypeField) continue;
            var field = value[name];
            if (Find(type, name) is not { } known) Unknown(field, name, type);
            else if (EnabledFilters.Is(members, name)) plain[known.Name] = EnabledFilters.Placeholder;
            else if (ProxyFields.IsIdle(known)) field.Idle("Envoys of a mesh do nothing with it either", "remove it, or leave it: it does no harm");
            else if (known.Name == Discovery && type.FindFieldByName("typed_config") is { } config && ProxyFields.Honours(config))
            {
                if (Discovered(field, value, type, merges) is { } source) plain[known.Name] = source;
            }
            else if (!ProxyFields.Honours(known))
                field.Error($"proxies of Isthmus have no {known.Name} in {type.FullName}", "remove it: a patch applies as a whole or not at all");
            else if (Member(field, known, merges) is { } read) plain[name] = read;
        }
        PatchValueRules.CheckHead(value, type);
        if (!merges) PatchValueRules.Check(value, type);
        return plain;
    }

    private static FieldDescriptor? Find(MessageDescriptor type, string name) =>
        type.Fields.InDeclarationOrder().FirstOrDefault(field => field.Name == name || field.JsonName == name);

    private static void Unknown(Field field, string name, MessageDescriptor type)
    {
        var near = Spelling.Nearest(name, type.Fields.InDeclarationOrder().Where(ProxyFields.Honours).Select(known => known.Name));
        field.Error($"proxies of Isthmus have no \"{name}\" in {type.FullName}",
            near is null ? "remove it: a patch applies as a whole or not at all" : $"did you mean \"{near}\"?");
    }

    private static JsonNode? Member(Field field, FieldDescriptor known, bool merges)
    {
        if (known.IsMap)
        {
            var value = known.MessageType.FindFieldByNumber(2);
            return field.Node is JsonObject
                ? new JsonObject(field.Members.Select(entry => KeyValuePair.Create(entry.Key, Item(entry.Value, value, known.ContainingType, merges: false))))
                : Wrong(field, "must be an object");
        }
        if (!known.IsRepeated) return Item(field, known, known.ContainingType, merges);
        return field.Node is JsonArray
            ? new JsonArray([.. field.Items.Select(item => Item(item, known, known.ContainingType, merges: false))])
            : Wrong(field, "must be a list");
    }

    private static JsonNode? Item(Field field, FieldDescriptor known, MessageDescriptor container, bool merges)
    {
        if (known.FieldType == FieldType.Message)
        {
            if (known.MessageType.FullName == Any.Descriptor.FullName) return Typed(field, container, merges);
            if (known.MessageType.File.Package != "google.protobuf") return Message(field, known.MessageType, merges);
        }
        return Plain(field, known, merges);
    }

    /// <summary>A value of which every field counts.</summary>
    private static JsonNode? Plain(Field field, FieldDescriptor known, bool merges)
    {
        if (field.Node is null) return Wrong(field, "must not be null", "remove it, or write a value");
        var node = field.Node.DeepClone();
        try
        {
            var one = MapOf(known) is { } map ? new JsonObject { [map.Name] = new JsonObject { [known.Name] = node.DeepClone() } }
                : new JsonObject { [known.Name] = known.IsRepeated ? new JsonArray(node.DeepClone()) : node.DeepClone() };
            var read = WireTypes.Strict.Parse(one.ToJsonString(), MapOf(known)?.ContainingType ?? known.ContainingType);
            if (merges && !known.HasPresence && !known.IsRepeated && read.CalculateSize() == 0)
                return Wrong(field, $"{node.ToJsonString()} is the default, which a merge does not set: as in Istio, it would change nothing",
                    "remove it, or replace the whole with operation REPLACE");
            return node;
        }
        catch (InvalidProtocolBufferException e)
        {
            var type = known.FieldType switch
            {
                FieldType.Message => known.MessageType.Name,
                FieldType.Enum => known.EnumType.Name,
                var plain => plain.ToString(),
            };
            return Wrong(field, $"{node.ToJsonString()} is not a {type}: {e.Message}");
        }
    }

    /// <summary>The map of which the field is the value.</summary>
    private static FieldDescriptor? MapOf(FieldDescriptor field) =>
        field.ContainingType.ContainingType?.Fields.InDeclarationOrder().FirstOrDefault(map => map.IsMap && map.MessageType == field.ContainingType);

    private static JsonNode? Typed(Field field, MessageDescriptor container, bool merges)
    {
        var name = TypeName(field[TypeField].Text);
        var isStruct = name is "udpa.type.v1.TypedStruct" or Struct;
        var type = !isStruct ? field[TypeField] : field["type_url"].Exists ? field["type_url"] : field["typeUrl"];
        if (isStruct) name = TypeName(type.Text);
        if (!IsPossible(type, name, container)) return null;
        if (ProxyFields.Knows(name) && WireTypes.Registry.Find(name) is not null) return Typed(isStruct ? field["value"] : field, name, merges);
        return ForEnvoys(type, name, isStruct ? field["value"].Node as JsonObject : field.Node as JsonObject, merges);
    }

    /// <summary>Where a filter gets its configuration. Only Envoy reads it, and only this control plane serves it.</summary>
    private static JsonObject? Discovered(Field field, Field filter, MessageDescriptor container, bool merges)
    {
        if (merges) field.Error("cannot be merged into a filter", "insert or replace the whole filter");
        else if (filter["typed_config"].Exists || filter["typedConfig"].Exists)
            field.Error("is beside typed_config: a filter has one of the two", "remove one");
        else if (field.Node is not JsonObject) field.Error("must be an object");
        if (field.IsWrong) return null;
        field.OnlyEnvoys(OnlyEnvoysDiscover, "write the configuration itself, in typed_config");
        var type = ExtensionConfigSource.Descriptor;
        var read = new JsonObject();
        foreach (var (name, _) in field.Members)
        {
            var member = field[name];
            if (!member.Exists) continue;
            if (Find(type, name) is not { } known)
            {
                member.Error($"{type.FullName} has no \"{name}\"", "remove it");
                continue;
            }
            if (known.Name == "config_source") CheckSource(member);
            if (known.Name == "type_urls")
                foreach (var url in member.Items) IsPossible(url, TypeName(url.Text), container);
            if (!member.IsWrong)
                read[known.Name] = known.Name == "default_config" ? Typed(member, container, merges: false)
                    : known.IsRepeated ? Member(member, known, merges: false) : Plain(member, known, merges: false);
        }
        if (!field.IsWrong) CheckDiscovery(field, read);
        return read;
    }

    /// <summary>What Envoy asks of the whole: it refuses a listener with a filter that is not so.</summary>
    private static void CheckDiscovery(Field field, JsonObject read)
    {
        var types = read["type_urls"] as JsonArray ?? [];
        if (!read.ContainsKey("config_source")) field["config_source"].Error($"is missing: {ExtensionConfigSource.Descriptor.FullName} needs it");
        if (types.Count == 0)
            field["type_urls"].Error("is missing: it lists the types that the filter may discover",
                "for example [type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua]");
        var fallback = read["default_config"];
        if (fallback is null && read["apply_default_config_without_warming"]?.GetValueKind() == JsonValueKind.True)
            field["apply_default_config_without_warming"]
                .Error("needs default_config: without it, there is nothing to apply", "add default_config, or remove it");
        if (fallback is not null && TypeName(WrittenType(fallback)) is var name && !types.Any(url => TypeName(url!.GetValue<string>()) == name))
            field["default_config"].Error($"{name} is none of type_urls: Envoy refuses such a filter", $"add type.googleapis.com/{name} to type_urls");
    }

    /// <summary>The type that Envoy makes of configuration that was read.</summary>
    private static string WrittenType(JsonNode read) =>
        TypeName(read[TypeField]!.GetValue<string>()) == Struct ? read["type_url"]!.GetValue<string>() : read[TypeField]!.GetValue<string>();

    private const string OnlyAds = "filters discover what patches of EXTENSION_CONFIG add, and the control plane serves that";

    private static void CheckSource(Field source)
    {
        foreach (var (name, _) in source.Members)
            if (Find(ConfigSource.Descriptor, name) is { ContainingOneof: not null, Name: not "ads" })
                source[name].Error($"cannot be the source: {OnlyAds}", "use ads: {}");
        if (!source["ads"].Exists && !source.IsWrong)
            source["ads"].Error($"is missing: {OnlyAds}", "use ads: {}");
    }

    /// <summary>Configuration of a type that only Envoy knows. Envoy converts a TypedStruct to the type that it names; the control plane needs not to know
    /// it.</summary>
    private static JsonObject? ForEnvoys(Field type, string name, JsonObject? value, bool merges)
    {
        if (merges)
        {
            type.Error($"{name} is not known here, so nothing can be merged into it", "insert or replace the whole filter");
            return null;
        }
        type.OnlyEnvoys($"proxies of Isthmus have no {name}: the patch", "express the patch by another of Istio's objects");
        var content = (JsonObject)(value?.DeepClone() ?? new JsonObject());
        content.Remove(TypeField);
        return new() { [TypeField] = $"type.googleapis.com/{Struct}", ["type_url"] = $"type.googleapis.com/{name}", ["value"] = content };
    }

    private static JsonObject Typed(Field value, string name, bool merges)
    {
        var plain = value.Exists ? Message(value, WireTypes.Registry.Find(name), merges) : [];
        plain[TypeField] = $"type.googleapis.com/{name}";
        return plain;
    }

    private static bool IsPossible(Field field, string name, MessageDescriptor container)
    {
        if (name.Length == 0)
            field.Error("is missing: typed configuration says its type",
                "for example type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit");
        else if (Places.TryGetValue(container.FullName, out var place) && name.StartsWith("envoy.", StringComparison.Ordinal)
            && !name.Contains(place, StringComparison.Ordinal)
            && (name != FilterForRoute || container.FullName == HttpFilter.Descriptor.FullName))
            field.Error($"{name} cannot be in {container.FullName}");
        else return true;
        return false;
    }

    private static string TypeName(string url) => url[(url.LastIndexOf('/') + 1)..];

    private static JsonNode? Wrong(Field field, string message, string remedy = "")
    {
        field.Error(message, remedy);
        return null;
    }
}
