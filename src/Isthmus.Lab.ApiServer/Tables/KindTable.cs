using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Tables;

/// <summary>What a cell is computed from.</summary>
internal readonly record struct Row(JsonObject Object, DateTimeOffset Now)
{
    internal JsonNode? At(string path) => Tree.At(Object, path);

    internal string Text(string path, string otherwise = "") => Tree.Text(At(path)) is { Length: > 0 } text ? text : otherwise;

    internal long Number(string path) => Tree.Number(At(path)) ?? 0;

    internal IEnumerable<JsonObject> Items(string path) => (At(path) as JsonArray)?.OfType<JsonObject>() ?? [];

    /// <summary>Since the time at this path, as tables show it.</summary>
    internal string Since(string path, string otherwise = "<unknown>") => ApiTime.Parse(Text(path)) is { } time ? ApiTime.Age(Now - time) : otherwise;

    internal string Age => Since("metadata.creationTimestamp");
}

/// <summary>Reads trees in which fields may be missing.</summary>
internal static class Tree
{
    internal static JsonNode? At(JsonNode? node, string path)
    {
        foreach (var part in path.Split('.')) node = (node as JsonObject)?[part];
        return node;
    }

    internal static string Text(JsonNode? node) => node is JsonValue value ? value.TryGetValue<string>(out var text) ? text : value.ToJsonString() : "";

    internal static long? Number(JsonNode? node) =>
        node is not JsonValue value ? null : value.TryGetValue<long>(out var number) ? number : value.TryGetValue<int>(out var small) ? small : null;

    internal static string Join(this IEnumerable<string> texts, string otherwise = "<none>")
    {
        var joined = string.Join(",", texts);
        return joined.Length == 0 ? otherwise : joined;
    }
}

/// <summary>The columns of one built-in kind, written down one by one.</summary>
internal sealed class KindTable : ITableFormat
{
    private readonly List<TableColumn> _columns = [];
    private readonly List<Func<Row, JsonNode?>> _cells = [];

    public IReadOnlyList<TableColumn> Columns => _columns;

    public JsonArray Cells(JsonObject o, DateTimeOffset now)
    {
        var row = new Row(o, now);
        return new([.. _cells.Select(cell => cell(row))]);
    }

    /// <summary>Begins with the name, as nearly all tables do.</summary>
    internal static KindTable Named() => new KindTable().Add("Name", "string", "name", 0, row => row.Text("metadata.name"));

    internal KindTable Text(string name, Func<Row, JsonNode?> cell) => Add(name, "string", "", 0, cell);

    internal KindTable Path(string name, string path, string otherwise = "") => Text(name, row => row.Text(path, otherwise));

    internal KindTable Integer(string name, Func<Row, JsonNode?> cell) => Add(name, "integer", "", 0, cell);

    internal KindTable Count(string name, string path) => Integer(name, row => row.Number(path));

    internal KindTable Boolean(string name, Func<Row, JsonNode?> cell) => Add(name, "boolean", "", 0, cell);

    internal KindTable Wide(string name, Func<Row, JsonNode?> cell) => Add(name, "string", "", 1, cell);

    internal KindTable Age() => Text("Age", row => row.Age);

    internal KindTable Add(string name, string type, string format, int priority, Func<Row, JsonNode?> cell)
    {
        _columns.Add(new(name, type, format, Descriptions.Of(name), priority));
        _cells.Add(cell);
        return this;
    }

    /// <summary>Containers, images and selector of a workload.</summary>
    internal KindTable Workload(string template, string? selector)
    {
        Wide("Containers", row => row.Items($"{template}.containers").Select(container => Tree.Text(container["name"])).Join(""));
        Wide("Images", row => row.Items($"{template}.containers").Select(container => Tree.Text(container["image"])).Join(""));
        if (selector is not null) Wide("Selector", row => Selector(row.At(selector)));
        return this;
    }

    internal static string Selector(JsonNode? selector)
    {
        if (selector is not JsonObject o || o.Count == 0) return "<none>";
        var isLabelSelector = o["matchLabels"] is JsonObject || o["matchExpressions"] is JsonArray;
        var text = (isLabelSelector ? LabelSelector.Read(o)! : LabelSelector.OfLabels(o)).ToString();
        return text.Length == 0 ? "<none>" : text;
    }
}

/// <summary>Texts of column definitions.</summary>
internal static class Descriptions
{
    internal static string Of(string column) => column switch
    {
        "Name" => "Name must be unique within a namespace.",
        "Age" or "Created At" => "The time since, or at which, this object was created.",
        _ => $"{column} of the object.",
    };
}
