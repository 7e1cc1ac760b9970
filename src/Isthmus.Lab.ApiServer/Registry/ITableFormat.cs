using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>One column of a Table. Priority above 0 shows with `-o wide` only.</summary>
public sealed record TableColumn(string Name, string Type, string Format, string Description, int Priority);

/// <summary>Columns of a kind and the cells of one object.</summary>
public interface ITableFormat
{
    IReadOnlyList<TableColumn> Columns { get; }

    /// <summary>One cell for each column; null for a missing value.</summary>
    JsonArray Cells(JsonObject o, DateTimeOffset now);
}
