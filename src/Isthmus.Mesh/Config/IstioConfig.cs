using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>The result of reading one Istio object.</summary>
/// <param name="Value">A record of <see cref="Model"/> (Gateway, VirtualService …); null when the object has errors or its
/// kind is not read. Where to ignore a field would open what it closes, an object with errors has a value all the same: one that
/// allows no more than what was meant.</param>
public sealed record IstioObject(ObjectRef Source, KindDescriptor? Kind, object? Value, ValueList<Problem> Problems)
{
    /// <summary>What could be read of an object that has errors; null when nothing could. It has no effect: only what the object refers to may be
    /// checked.</summary>
    public object? Draft { get; init; }

    public bool IsValid => Problems.All(problem => problem.Severity != Severity.Error);
}

/// <summary>Reads Istio objects.</summary>
public static class IstioConfig
{
    /// <param name="cluster">The cluster that the object is in.</param>
    public static IstioObject Read(JsonObject @object, string cluster)
    {
        var apiVersion = TextOf(@object["apiVersion"]);
        var kindName = TextOf(@object["kind"]);
        var source = new ObjectRef(cluster, kindName, TextOf(@object["metadata"]?["namespace"]), TextOf(@object["metadata"]?["name"]));
        var name = source.Namespace.Length == 0 ? $"{kindName} {source.Name}" : $"{kindName} {source.Namespace}/{source.Name}";
        var findings = new Findings(name);
        var kind = MeshApi.FindIstio(apiVersion, kindName);
        if (kind is null)
        {
            findings.Error("kind", $"\"{kindName}\" of \"{apiVersion}\" is not one of Istio's kinds");
            return new(source, null, null, findings.Problems);
        }
        if (kind.Refusal is var (message, remedy)) findings.Error("kind", message, remedy);
        else if (!kind.IsEffective && kind != MeshApi.IstioOperator)
            findings.Warn("kind", $"{kindName} is accepted but has no effect", "leave it out, unless a control plane of Istio reads it, too",
                WarningKind.NoEffect);
        var spec = new Field(@object["spec"], "spec", findings);
        if (spec.Node is { } node && !kind.IsRefused) kind.Spec?.Check(node, "spec", findings);
        if (!spec.Exists && kind.NeedsSpec) spec.Error("must be set");
        if (kind.IsPolicy) RefuseBesideSpec(@object, findings);
        var isMalformed = findings.HasErrors;
        if (isMalformed)
        {
            findings.SettleLimits();
            if (!kind.IsPolicy) return new(source, kind, null, findings.Problems);
        }
        var malformed = findings.Problems;
        var value = kind.Reader?.Invoke(new(source, spec.Exists ? spec : spec with { Node = new JsonObject() }, @object, CreatedAt(@object)));
        findings.SettleLimits();
        ControlCharacters.Check(spec);
        // What a reader says about malformed fields would only repeat what is wrong with them.
        return new(source, kind, findings.HasErrors ? null : value, isMalformed ? malformed : findings.Problems) { Draft = value };
    }

    /// <summary>API servers keep such fields of policies, so that none loses a selector that is indented too little.</summary>
    private static void RefuseBesideSpec(JsonObject @object, Findings findings)
    {
        foreach (var (name, _) in @object)
            if (name is not ("apiVersion" or "kind" or "metadata" or "spec" or "status"))
                findings.Error(name, $"unknown field \"{name}\"", "move it below spec, or remove it");
    }

    internal static long CreatedAt(JsonObject @object) =>
        DateTimeOffset.TryParse(TextOf(@object["metadata"]?["creationTimestamp"]), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time.ToUnixTimeSeconds() : 0;

    private static string TextOf(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";
}

/// <summary>The check that admission and <c>analyze</c> share.</summary>
public static class Validation
{
    /// <summary>Errors and warnings of one object in Istio's API groups, each with the path of its field; empty for a valid
    /// object.</summary>
    public static IReadOnlyList<Problem> Check(JsonObject @object) => IstioConfig.Read(@object, "").Problems;
}
