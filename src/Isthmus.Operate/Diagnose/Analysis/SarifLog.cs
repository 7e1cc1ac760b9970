using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Findings as a log of SARIF 2.1.0, which code hosts and editors show.</summary>
public static class SarifLog
{
    public static JsonObject Of(IReadOnlyList<Finding> findings, string version)
    {
        var codes = findings.Select(finding => finding.Problem.Code).Distinct().Order(StringComparer.Ordinal).ToList();
        return new()
        {
            ["$schema"] = "https://json.schemastore.org/sarif-2.1.0.json",
            ["version"] = "2.1.0",
            ["runs"] = new JsonArray(new JsonObject
            {
                ["tool"] = new JsonObject
                {
                    ["driver"] = new JsonObject { ["name"] = "isthmus analyze", ["version"] = version, ["rules"] = new JsonArray([.. codes.Select(Rule)]) },
                },
                ["results"] = new JsonArray([.. findings.Select(finding => Result(finding, codes.IndexOf(finding.Problem.Code)))]),
            }),
        };
    }

    private static JsonNode Rule(string code)
    {
        var rule = new JsonObject { ["id"] = code };
        if (AnalysisCodes.All.FirstOrDefault(known => known.Code == code) is not { } known) return rule;
        rule["name"] = known.Name;
        rule["shortDescription"] = Text(known.Meaning);
        rule["help"] = Text(known.Remedy);
        rule["defaultConfiguration"] = new JsonObject { ["level"] = Level(known.Severity) };
        return rule;
    }

    private static JsonNode Result(Finding finding, int rule)
    {
        var problem = finding.Problem;
        var location = new JsonObject
        {
            ["logicalLocations"] = new JsonArray(new JsonObject
            {
                ["fullyQualifiedName"] = $"{finding.Cluster}/{problem.Object}{(problem.Path.Length > 0 ? $"/{problem.Path}" : "")}", ["kind"] = "object"
            }),
        };
        if (finding.Reference.LastIndexOf(':') is > 0 and var colon)
        {
            location["physicalLocation"] = new JsonObject
            {
                ["artifactLocation"] = new JsonObject { ["uri"] = UriOf(finding.Reference[..colon]) },
                ["region"] = new JsonObject { ["startLine"] = int.Parse(finding.Reference[(colon + 1)..], System.Globalization.CultureInfo.InvariantCulture) },
            };
        }
        return new JsonObject
        {
            ["ruleId"] = problem.Code, ["ruleIndex"] = rule, ["level"] = Level(problem.Severity),
            ["message"] = Text(
                $"{problem.Object}: "
                    + $"{(problem.Path.Length > 0 ? $"{problem.Path}: " : "")}{problem.Message}{(problem.Remedy.Length > 0 ? $" ({problem.Remedy})" : "")}"),
            ["locations"] = new JsonArray(location),
        };
    }

    /// <summary>A path as a relative reference: a space, for example, may not be in one.</summary>
    private static string UriOf(string path) => string.Join('/', path.Replace('\\', '/').Split('/').Select(Uri.EscapeDataString));

    private static string Level(Severity severity) => severity switch { Severity.Error => "error", Severity.Warning => "warning", _ => "note" };

    private static JsonObject Text(string text) => new() { ["text"] = text };
}
