using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Google.Protobuf.Reflection;
using Isthmus.Proxy.Matching;
using Isthmus.Wire.Envoy.Dumps;

namespace Isthmus.Proxy.Dumps;

/// <summary>The part of a configuration dump that a query asks for, by Envoy's rules: <c>resource</c> takes the entries of one list out of
/// the dump, <c>mask</c> keeps fields (of each entry with <c>resource</c>, else of each section), <c>name_regex</c> keeps entries by
/// name.</summary>
internal sealed class DumpSelection
{
    /// <summary>The lists that a dump can have.</summary>
    private static readonly Dictionary<string, FieldDescriptor> Lists = Fields().Where(field => field.IsRepeated)
        .ToDictionary(field => field.Name, StringComparer.Ordinal);

    private readonly string? _resource;
    private readonly Regex? _name;
    private readonly FieldTree? _mask;

    /// <exception cref="ResourceException">The query is not valid; the message is for the client.</exception>
    public DumpSelection(IReadOnlyDictionary<string, string> query)
    {
        if (query.GetValueOrDefault("resource", "") is { Length: > 0 } resource)
        {
            if (!Lists.ContainsKey(resource))
            {
                throw new ResourceException(Fields().Any(field => field.Name == resource)
                    ? $"{resource} is not a repeated field. Use ?mask={resource} to get only this field"
                    : $"{resource} not found in config dump");
            }
            _resource = resource;
        }
        if (query.GetValueOrDefault("mask", "") is { Length: > 0 } mask) _mask = FieldTree.Read(mask);
        if (query.GetValueOrDefault("name_regex", "") is { Length: > 0 } pattern) _name = TextMatch.CompileRegex(pattern, whole: false);
    }

    /// <summary>Whether anything of a section can be part of the answer.</summary>
    /// <param name="type">The section's message.</param>
    public bool Includes(string type) => _resource is null || Lists[_resource].ContainingType.Name == type;

    /// <param name="sections">All sections that <see cref="Includes"/> names. They are not used again.</param>
    public List<JsonObject> Of(List<JsonObject> sections)
    {
        if (_name is not null)
        {
            foreach (var list in sections.SelectMany(section => section).Where(field => Lists.ContainsKey(field.Key)).Select(field => field.Value)
                .OfType<JsonArray>())
                for (var i = list.Count - 1; i >= 0; i--) if (!_name.IsMatch(NameOf(list[i]!.AsObject()))) list.RemoveAt(i);
        }
        if (_resource is not null)
        {
            var type = $"type.googleapis.com/{Lists[_resource].MessageType.FullName}";
            sections = [.. sections.Select(section => section[_resource]).OfType<JsonArray>().SelectMany(list => list)
                .Select(entry => Typed(type, entry!.DeepClone().AsObject()))];
        }
        if (_mask is not null) foreach (var section in sections) _mask.Keep(section);
        return sections;
    }

    private static IEnumerable<FieldDescriptor> Fields() =>
        AdminV3Reflection.Descriptor.MessageTypes.Where(message => message.Name.EndsWith("ConfigDump", StringComparison.Ordinal)
            && message.Name != nameof(ConfigDump))
            .SelectMany(message => message.Fields.InDeclarationOrder());

    private static JsonObject Typed(string type, JsonObject entry)
    {
        entry.Insert(0, "@type", type);
        return entry;
    }

    /// <summary>The entry's own name, else that of the resource in it.</summary>
    private static string NameOf(JsonObject entry) =>
        Text(entry) ?? entry.Select(field => field.Value).OfType<JsonObject>().Select(Text).FirstOrDefault(name => name is not null) ?? "";

    private static string? Text(JsonObject value) => (value["name"] ?? value["cluster_name"])?.ToString();

    /// <summary>The fields that a mask names.</summary>
    private sealed class FieldTree
    {
        private readonly Dictionary<string, FieldTree> _fields = new(StringComparer.Ordinal);

        public static FieldTree Read(string mask)
        {
            var root = new FieldTree();
            foreach (var path in mask.Split(',', StringSplitOptions.RemoveEmptyEntries))
            {
                var at = root;
                foreach (var name in path.Split('.'))
                {
                    if (!at._fields.TryGetValue(name, out var next)) at._fields[name] = next = new();
                    at = next;
                }
            }
            return root;
        }

        /// <summary>Removes all other fields; types stay, or nobody could read what is left.</summary>
        public void Keep(JsonNode? value)
        {
            if (_fields.Count == 0) return;
            if (value is JsonArray list) foreach (var item in list) Keep(item);
            if (value is not JsonObject fields) return;
            foreach (var name in fields.Select(field => field.Key).ToList())
            {
                if (name == "@type") continue;
                if (_fields.TryGetValue(name, out var below)) below.Keep(fields[name]);
                else fields.Remove(name);
            }
        }
    }
}
