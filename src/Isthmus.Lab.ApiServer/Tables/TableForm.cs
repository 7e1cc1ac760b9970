using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Tables;

/// <summary>Objects as a meta.k8s.io Table.</summary>
/// <param name="metaVersion">v1 or v1beta1.</param>
/// <param name="includeObject">None, Metadata or Object.</param>
internal sealed class TableForm(KindDescriptor kind, string metaVersion, string includeObject, DateTimeOffset now)
{
    private readonly ITableFormat _format = kind.Table ?? (kind.IsCustom ? DefaultTable.Custom : DefaultTable.BuiltIn);

    internal JsonObject Of(StoredObject o) => Of(Versions.ToRequested(kind, o));

    internal JsonObject Of(JsonObject o) => Of([Row(o)], new() { ["resourceVersion"] = o["metadata"]?["resourceVersion"]?.DeepClone() }, true);

    /// <param name="columns">Watches send the column definitions with the first event only.</param>
    internal JsonObject Of(IEnumerable<StoredObject> objects, JsonObject listMetadata, bool columns) =>
        Of(objects.Select(o => Row(Versions.ToRequested(kind, o))), listMetadata, columns);

    private JsonObject Of(IEnumerable<JsonNode> rows, JsonObject listMetadata, bool columns) => new()
    {
        ["kind"] = "Table",
        ["apiVersion"] = $"meta.k8s.io/{metaVersion}",
        ["metadata"] = listMetadata,
        ["columnDefinitions"] = columns ? new JsonArray([.. _format.Columns.Select(Definition)]) : null,
        ["rows"] = new JsonArray([.. rows]),
    };

    internal static JsonObject Partial(JsonObject o, string metaVersion) => new()
    {
        ["kind"] = "PartialObjectMetadata",
        ["apiVersion"] = $"meta.k8s.io/{metaVersion}",
        ["metadata"] = o["metadata"]!.DeepClone(),
    };

    private JsonNode Row(JsonObject o)
    {
        var row = new JsonObject { ["cells"] = _format.Cells(o, now) };
        if (includeObject == "Metadata") row["object"] = Partial(o, metaVersion);
        else if (includeObject == "Object") row["object"] = o;
        return row;
    }

    private static JsonNode Definition(TableColumn column) => new JsonObject
    {
        ["name"] = column.Name,
        ["type"] = column.Type,
        ["format"] = column.Format,
        ["description"] = column.Description,
        ["priority"] = column.Priority,
    };
}

/// <summary>Name and age, for kinds without columns of their own.</summary>
internal sealed class DefaultTable(string ageName, bool asTime) : ITableFormat
{
    /// <summary>Built-in kinds without columns show the time itself.</summary>
    internal static readonly DefaultTable BuiltIn = new("Created At", true);

    internal static readonly DefaultTable Custom = new("Age", false);

    public IReadOnlyList<TableColumn> Columns { get; } =
    [
        new("Name", "string", "name",
            "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation "
                + "of an appropriate name automatically.",
            0),
        new(ageName, "date", "", "CreationTimestamp is a timestamp representing the server time when this object was created.", 0),
    ];

    public JsonArray Cells(JsonObject o, DateTimeOffset now)
    {
        var created = Metadata.Text(o, "creationTimestamp");
        return new(Metadata.Name(o), asTime ? created : ApiTime.Parse(created) is { } time ? ApiTime.Age(now - time) : "<unknown>");
    }
}
