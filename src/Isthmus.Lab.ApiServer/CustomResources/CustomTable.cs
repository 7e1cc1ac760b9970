using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>The columns that a definition specifies.</summary>
internal sealed class CustomTable : ITableFormat
{
    private const string NameText =
        "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of "
            + "an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More "
            + "info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

    private readonly List<(string Type, JsonPath? Path)> _columns = [];
    private readonly List<TableColumn> _definitions = [new("Name", "string", "name", NameText, 0)];

    /// <param name="columns">additionalPrinterColumns of a version.</param>
    public CustomTable(JsonNode? columns)
    {
        foreach (var column in Json.Objects(columns))
        {
            var (name, type) = (Json.Text(column["name"]), Json.Text(column["type"]));
            var description = Json.Text(column["description"]) is { Length: > 0 } given
                ? given
                : $"Custom resource definition column (in JSONPath format): {Json.Text(column["jsonPath"])}";
            _columns.Add((type, JsonPath.Parse(Json.Text(column["jsonPath"]))));
            _definitions.Add(new(name, type, Json.Text(column["format"]), description, (int)(Json.Whole(column["priority"]) ?? 0)));
        }
    }

    public IReadOnlyList<TableColumn> Columns => _definitions;

    public JsonArray Cells(JsonObject o, DateTimeOffset now)
    {
        var cells = new JsonArray { (JsonNode?)o.TextAt("metadata", "name") };
        foreach (var (type, path) in _columns) cells.Add(Cell(type, path?.Find(o).FirstOrDefault(), now));
        return cells;
    }

    private static JsonNode? Cell(string type, JsonNode? value, DateTimeOffset now)
    {
        if (value is null) return null;
        return type switch
        {
            "integer" => Json.Whole(value),
            "number" => Json.Number(value),
            "boolean" => Json.Truth(value),
            "date" => ApiTime.Parse(Json.Text(value)) is { } time ? ApiTime.Age(now - time) : "<invalid>",
            _ => Json.TextOrNull(value) ?? value.ToJsonString(JsonText.Relaxed),
        };
    }
}
