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
public sealed record IstioObject(ObjectRef Source, IstioKind? Kind, object? Value, ValueList<Problem> Problems)
{
    /// <summary>What could be read of an object that has errors; null when nothing could. It has no effect: only what the object refers to may be checked.</summary>
    public object? Draft { get; init; }

    public bool IsValid => Problems.All(problem => problem.Severity != Severity.Error);
}

/// <summary>Reads Istio objects.</summary>
public static class IstioConfig
{
    private const string InsteadOfFilters = "decide in an external authorizer (AuthorizationPolicy with action CUSTOM), or change headers by the routes of a VirtualService";

    /// <param name="cluster">The cluster that the object is in.</param>
    public static IstioObject Read(JsonObject @object, string cluster)
    {
        var apiVersion = TextOf(@object["apiVersion"]);
        var kindName = TextOf(@object["kind"]);
        var source = new ObjectRef(cluster, kindName, TextOf(@object["metadata"]?["namespace"]), TextOf(@object["metadata"]?["name"]));
        var name = source.Namespace.Length == 0 ? $"{kindName} {source.Name}" : $"{kindName} {source.Namespace}/{source.Name}";
        var findings = new Findings(name);
        var kind = IstioKind.Find(apiVersion, kindName);
        if (kind is null)
        {
            findings.Error("kind", $"\"{kindName}\" of \"{apiVersion}\" is not one of Istio's kinds");
            return new(source, null, null, findings.Problems);
        }
        // A plugin may decide who may call, and what the answer is.
        if (kind == IstioKind.WasmPlugin) findings.Error("kind", "WasmPlugins are not supported: proxies of Isthmus run no Wasm", InsteadOfFilters);
        else if (kind == IstioKind.TrafficExtension) findings.Error(
                "kind", "TrafficExtensions are not supported: proxies of Isthmus run neither Wasm nor Lua", InsteadOfFilters);
        // The command line reads IstioOperators. They have no effect in a cluster, and nobody expects one.
        else if (!IstioKind.Effective.Contains(kind) && kind != IstioKind.IstioOperator) findings.Warn("kind", $"{kindName} is accepted but has no effect");
        var spec = new Field(@object["spec"], "spec", findings);
        if (spec.Node is { } node && !IstioKind.Refused.Contains(kind)) kind.Spec?.Check(node, "spec", findings);
        if (!spec.Exists && kind.NeedsSpec) spec.Error("must be set");
        if (kind.IsPolicy) RefuseBesideSpec(@object, findings);
        var isMalformed = findings.HasErrors;
        if (isMalformed)
        {
            findings.SettleLimits();
            if (!kind.IsPolicy) return new(source, kind, null, findings.Problems);
        }
        var malformed = findings.Problems;
        var value = ReadSpec(kind, source, spec.Exists ? spec : spec with { Node = new JsonObject() }, @object, CreatedAt(@object));
        findings.SettleLimits();
        ControlCharacters.Check(spec);
        // What a reader says about malformed fields would only repeat what is wrong with them.
        return new(source, kind, findings.HasErrors ? null : value, isMalformed ? malformed : findings.Problems) { Draft = value };
    }

    private static object? ReadSpec(IstioKind kind, ObjectRef source, Field spec, JsonObject @object, long createdAt) => kind.Kind switch
    {
        "Gateway" => GatewayReader.Read(source, spec, createdAt),
        "VirtualService" => VirtualServiceReader.Read(source, spec, createdAt),
        "DestinationRule" => DestinationRuleReader.Read(source, spec, createdAt),
        "ServiceEntry" => ServiceEntryReader.Read(source, spec, createdAt) with { Distribution = TrafficDistributions.OfAnnotation(AnnotationOf(@object, Annotations.TrafficDistribution)) },
        "WorkloadGroup" => CheckGroup(spec),
        "WorkloadEntry" => ServiceEntryReader.ReadWorkload(source, spec, createdAt),
        "Sidecar" => SidecarReader.Read(source, spec, createdAt),
        "EnvoyFilter" => EnvoyFilterReader.Read(source, spec, createdAt),
        "ProxyConfig" => ProxyConfigReader.Read(source, spec, createdAt),
        "PeerAuthentication" => PeerAuthenticationReader.Read(source, spec, createdAt),
        "AuthorizationPolicy" => AuthorizationPolicyReader.Read(source, spec, AnnotationOf(@object, "istio.io/dry-run") == "true", createdAt),
        "Telemetry" => TelemetryReader.Read(source, spec, createdAt),
        "RequestAuthentication" => RequestAuthenticationReader.Read(source, spec, createdAt),
        _ => null,
    };

    private static object? CheckGroup(Field spec)
    {
        ServiceEntryReader.CheckGroup(spec);
        return null;
    }

    /// <summary>API servers keep such fields of policies, so that none loses a selector that is indented too little.</summary>
    private static void RefuseBesideSpec(JsonObject @object, Findings findings)
    {
        foreach (var (name, _) in @object)
            if (name is not ("apiVersion" or "kind" or "metadata" or "spec" or "status")) findings.Error(name, $"unknown field \"{name}\"", "move it below spec, or remove it");
    }

    private static long CreatedAt(JsonObject @object) =>
        DateTimeOffset.TryParse(TextOf(@object["metadata"]?["creationTimestamp"]), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time.ToUnixTimeSeconds() : 0;

    private static string AnnotationOf(JsonObject @object, string name) => TextOf((@object["metadata"]?["annotations"] as JsonObject)?[name]);

    private static string TextOf(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";
}

/// <summary>The check that admission and <c>analyze</c> share.</summary>
public static class Validation
{
    /// <summary>Errors and warnings of one object in Istio's API groups, each with the path of its field; empty for a valid
    /// object.</summary>
    public static IReadOnlyList<Problem> Check(JsonObject @object) => IstioConfig.Read(@object, "").Problems;
}
