using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Options;

/// <summary><c>-o table|json|yaml</c>.</summary>
/// <param name="hasWide">Whether there is a table with more columns, too (<c>wide</c>).</param>
internal sealed class OutputOption(bool hasWide = false)
{
    // It is read by people and programs, never by a browser: signs such as + and → stay as they are.
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true, IndentSize = 4, TypeInfoResolver = KubeJson.Default, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping
    };

    internal Option<string> Option { get; } = new Option<string>("--output", "-o")
    {
        Description = hasWide ? "Output format: table (or short), wide, json or yaml" : "Output format: table (or short), json or yaml",
        DefaultValueFactory = _ => "table",
    }.OneOf(StringComparer.Ordinal, "is not an output format", hasWide ? "use table, wide, json or yaml" : "use table, json or yaml",
        ["table", "short", .. hasWide ? (string[])["wide"] : [], "json", "yaml"]);

    internal bool IsTable(ParseResult line) => line.GetValue(Option) is "table" or "short" or "wide";

    internal bool IsWide(ParseResult line) => line.GetValue(Option) == "wide";

    /// <summary>Prints the tree in the format asked for, or calls <paramref name="table"/>.</summary>
    internal void Write(ParseResult line, Func<JsonNode> tree, Action table)
    {
        switch (line.GetValue(Option))
        {
            case "table" or "short" or "wide":
                table();
                break;
            case var format:
                Print(format!, tree());
                break;
        }
    }

    /// <param name="format"><c>json</c> or <c>yaml</c>.</param>
    internal static void Print(string format, JsonNode tree)
    {
        if (format == "yaml") Console.Write(YamlText.Print(tree));
        else Console.WriteLine(Visible.Json(tree.ToJsonString(Indented)));
    }
}
