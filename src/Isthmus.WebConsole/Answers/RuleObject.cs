using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model;

namespace Isthmus.WebConsole.Answers;

/// <summary>An object that may decide what happens to calls.</summary>
/// <param name="Value">The record of it, also of one that is not in force; null when it cannot be read.</param>
internal sealed record RuleObject(KindDescriptor Kind, ObjectRef Source, JsonObject Written, object? Value)
{
    /// <summary>Whether control planes apply it. Policies apply with most errors, and then allow less.</summary>
    public bool IsInForce { get; init; } = true;

    public ValueList<Problem> Errors { get; init; }

    /// <summary>Null for other kinds, also for those of other groups with the same name.</summary>
    public static RuleObject? Read(JsonObject value, string cluster)
    {
        var kind = MeshApi.Find(value["apiVersion"]?.ToString() ?? "", value["kind"]?.ToString() ?? "");
        if (kind?.Has(KindUse.ConsoleRules) != true) return null;
        if (kind.IsOfGatewayApi)
        {
            var route = ApiRouteReader.Read(kind, cluster, value);
            return new(kind, route.Source, value, route);
        }
        var read = IstioConfig.Read(value, cluster);
        return new(kind, read.Source, value, read.Value ?? read.Draft)
        {
            IsInForce = read.Value is not null, Errors = read.Problems.Where(problem => problem.Severity == Severity.Error).ToValueList(),
        };
    }

    /// <summary>What its errors mean for it; empty: it has none.</summary>
    public string Verdict()
    {
        if (Errors.IsEmpty) return "";
        var (first, more) = (Errors[0], Errors.Count > 1 ? $" (and {Errors.Count - 1} more)" : "");
        var why = $"{(first.Path.Length > 0 ? $"{first.Path}: " : "")}{first.Message}{more}";
        return IsInForce ? $"has errors, but is in force: {why}" : $"has errors, so it is not in force; its last good version stays, if it had one: {why}";
    }

    /// <summary>It as users write it.</summary>
    public string ToYaml()
    {
        var shown = (JsonObject)Written.DeepClone();
        if (shown["metadata"] is JsonObject meta)
            foreach (var field in (string[])["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"]) meta.Remove(field);
        shown.Remove("status");
        return YamlText.Print(shown);
    }
}
