using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Storage;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>A field selector: `metadata.name=x,status.phase!=Failed`.</summary>
public sealed class FieldSelector
{
    public static readonly FieldSelector Everything = new([]);
    private readonly List<(string Field, bool Equal, string Value)> _terms;

    private FieldSelector(List<(string, bool, string)> terms) => _terms = terms;

    public bool IsEmpty => _terms.Count == 0;

    public bool Matches(KindDescriptor kind, StoredObject o)
    {
        JsonObject? tree = null;
        foreach (var (field, equal, value) in _terms)
        {
            var actual = field switch
            {
                "metadata.name" => o.Name,
                "metadata.namespace" => o.Namespace,
                _ => FieldLabels.Value(kind, tree ??= o.Parse(), field),
            };
            if (string.Equals(actual, value, StringComparison.Ordinal) != equal) return false;
        }
        return true;
    }

    /// <exception cref="ApiException">400: the text is not a selector, or names a field that the kind does not support.</exception>
    public static FieldSelector Parse(string? text, KindDescriptor kind)
    {
        if (string.IsNullOrWhiteSpace(text)) return Everything;
        var terms = new List<(string, bool, string)>();
        foreach (var term in text.Split(','))
        {
            if (term.Length == 0) continue;
            var equals = term.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) throw ApiException.BadRequest($"invalid selector: '{text}'; can't understand '{term}'");
            var negative = term[equals - 1] == '!';
            var field = term[..(negative ? equals - 1 : equals)];
            var value = term[(equals + 1)..].TrimStart('=');
            FieldLabels.Check(kind, field);
            terms.Add((field, !negative, value));
        }
        return new(terms);
    }
}

/// <summary>Which fields selectors may name, and their values.</summary>
internal static class FieldLabels
{
    internal static void Check(KindDescriptor kind, string field)
    {
        if (field is "metadata.name" || (field is "metadata.namespace" && kind.Namespaced)) return;
        foreach (var label in kind.FieldLabels)
            if (label == field) return;
        if (kind.Strategy.FieldLabels.Contains(field)) return;
        throw ApiException.BadRequest(kind.FieldLabels.IsEmpty && !kind.IsCustom && kind.Strategy.FieldLabels.Count == 0
            ? $"\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            : $"field label not supported: {field}");
    }

    internal static string Value(KindDescriptor kind, JsonObject o, string field)
    {
        if (kind.Strategy.FieldLabel(o, field) is { } own) return own;
        if (field == "source") return (string?)o["source"]?["component"] ?? (string?)o["reportingComponent"] ?? "";
        JsonNode? node = o;
        foreach (var part in field.Split('.')) node = (node as JsonObject)?[part];
        return node switch
        {
            null => field is "spec.unschedulable" or "spec.hostNetwork" ? "false" : "",
            JsonValue value when value.TryGetValue<string>(out var text) => text,
            JsonValue value => value.ToJsonString(),
            _ => "",
        };
    }
}
