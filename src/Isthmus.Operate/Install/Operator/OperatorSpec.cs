using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Operate.Install.Operator;

/// <summary>What to install: the profile, files and <c>--set</c> flags merged into one IstioOperator spec (install.istio.io/v1alpha1).</summary>
public sealed class OperatorSpec
{
    private const string ApiVersion = "install.istio.io/v1alpha1";

    private OperatorSpec(JsonObject spec, string name, string profile,
        IReadOnlyList<Problem> warnings) => (Spec, Name, Profile, Warnings) = (spec, name, profile, warnings);

    /// <summary>The merged spec.</summary>
    public JsonObject Spec { get; }

    /// <summary>metadata.name of the last file that has one; it identifies the owner of the installed objects.</summary>
    public string Name { get; }

    public string Profile { get; }

    /// <summary>Fields that have no effect.</summary>
    public IReadOnlyList<Problem> Warnings { get; }

    public string Revision => Spec["revision"]?.ToString() ?? "";

    public string RevisionOrDefault => Revision.Length == 0 ? "default" : Revision;

    public string Namespace => Value("global", "istioNamespace")?.ToString() is { Length: > 0 } ns ? ns : WellKnown.SystemNamespace;

    public JsonObject Values => (JsonObject)Spec["values"]!;

    public JsonObject MeshConfig => Spec["meshConfig"] as JsonObject ?? [];

    public string Network => Value("global", "network")?.ToString() ?? "";

    public string ClusterName => Value("global", "multiCluster", "clusterName")?.ToString() is { Length: > 0 } name ? name : "Kubernetes";

    public string TrustDomain => MeshConfig["trustDomain"]?.ToString() is { Length: > 0 } domain ? domain : WellKnown.DefaultTrustDomain;

    /// <summary>A control plane in another cluster reads the mesh's configuration here.</summary>
    public bool IsConfigCluster => (bool?)Value("global", "configCluster") ?? false;

    /// <summary>Other clusters call Services here by names of the global zone, through the ingress gateway (replicated control planes).</summary>
    public bool JoinsByNames => (bool?)Value("global", "multiCluster", "enabled") ?? false;

    /// <summary>Whether CNI agents capture the traffic of Pods: those of this installation, or others that the values announce.</summary>
    public bool UsesNodeAgent => (bool?)Value("istio_cni", "enabled") ?? (bool?)Value("pilot", "cni", "enabled") ?? Enabled("cni");

    /// <summary>A field below <c>values</c>, or null.</summary>
    public JsonNode? Value(params ReadOnlySpan<string> path)
    {
        JsonNode? node = Spec["values"];
        foreach (var step in path) node = (node as JsonObject)?[step];
        return node;
    }

    public JsonObject Component(string name) => Spec["components"]?[name] as JsonObject ?? [];

    public bool Enabled(string component) => (bool?)Component(component)["enabled"] ?? false;

    public IEnumerable<JsonObject> Gateways(string list) => (Spec["components"]?[list] as JsonArray ?? []).OfType<JsonObject>();

    /// <summary>The image of a component: its own hub and tag override those of the spec, these values.global, and a full image name overrides all.</summary>
    public string Image(string name, JsonObject? component = null)
    {
        if (name.Contains('/', StringComparison.Ordinal)) return name;
        var hub = First(WellKnown.OwnDomain, component?["hub"], Spec["hub"], Value("global", "hub"));
        var tag = First(BuildVersion.Current, component?["tag"], Spec["tag"], Value("global", "tag"));
        return $"{hub}/{name}:{tag}";
    }

    private static string First(string fallback, params ReadOnlySpan<JsonNode?> given)
    {
        foreach (var one in given)
        {
            if (one?.ToString() is { Length: > 0 } text) return text;
        }
        return fallback;
    }

    /// <summary>Merges, left to right: the profile's defaults, the files' specs, the flags. Unknown fields are problems.</summary>
    public static OperatorSpec Build(IReadOnlyList<(string Source, string Text)> files, IReadOnlyList<string> sets, string? revision)
    {
        var overlays = files.SelectMany(file => ReadFile(file.Text, file.Source)).ToList();
        var flags = new JsonObject();
        foreach (var set in sets) SetFlag.Apply(flags, set);
        // Each input is checked separately: after the merge, file names and list indexes no longer match the user's input.
        foreach (var overlay in overlays) Refuse(overlay.Spec, overlay.Source);
        if (!string.IsNullOrEmpty(revision)) Refuse(new() { ["revision"] = revision }, "--revision");
        var profile = (flags["profile"] as JsonValue)?.ToString()
            ?? overlays.Select(overlay => overlay.Spec["profile"]?.ToString()).LastOrDefault(name => !string.IsNullOrEmpty(name)) ?? "default";

        var spec = Profiles.Load(profile);
        foreach (var overlay in overlays) Overlay.Merge(spec, overlay.Spec);
        Overlay.Merge(spec, flags);
        if (!string.IsNullOrEmpty(revision)) spec["revision"] = revision;
        Refuse(spec, "--set");
        // Both hold mesh settings; as in Istio, the one under values wins.
        if (spec["values"]?["meshConfig"] is JsonObject mesh) Overlay.Merge(spec, new JsonObject { ["meshConfig"] = mesh.DeepClone() });
        var gateways = ((string[])["ingressGateways", "egressGateways"]).SelectMany(list => spec["components"]?[list] as JsonArray ?? [])
            .Select(gateway => gateway?["name"]?.ToString() ?? "").ToHashSet(StringComparer.Ordinal);
        var warnings = overlays.Select(overlay => (overlay.Spec, overlay.Source)).Append((flags, "--set"))
            .SelectMany(given => ValuesSchema.Check(given.Item1, given.Item2, gateways)).ToList();
        if (warnings.Find(problem => problem.Severity == Severity.Error) is { } wrong) throw new ProblemException(wrong);
        var name = overlays.Select(overlay => overlay.Name).LastOrDefault(candidate => candidate.Length > 0) ?? "";
        return new(spec, name, profile, warnings);
    }

    private static IEnumerable<(string Source, string Name, JsonObject Spec)> ReadFile(string text, string source)
    {
        var documents = YamlText.ParseAll(text, source);
        // A failed command leaves an empty file in a pipe, which would install the default profile.
        if (documents.Count == 0) throw new ProblemException(source, "is empty; expected an IstioOperator", "check the command that writes it");
        if (documents.Count > 1)
            throw new ProblemException(source, $"holds {documents.Count} IstioOperators; expected one", "put each in its own file, and repeat -f");
        foreach (var document in documents)
        {
            if (document is not JsonObject operation)
                throw new ProblemException(source, "is not an IstioOperator; expected a YAML mapping",
                    $"start the file with 'apiVersion: {ApiVersion}' and 'kind: IstioOperator'");
            if (operation["kind"]?.ToString() != "IstioOperator")
                throw new ProblemException(source, $"kind: '{operation["kind"]}' is not IstioOperator",
                    "specify an IstioOperator file; apply other objects with kubectl");
            if (operation["apiVersion"]?.ToString() is var version && version != ApiVersion)
                throw new ProblemException(source, $"apiVersion: '{version}' is not {ApiVersion}", $"write 'apiVersion: {ApiVersion}'");
            foreach (var (field, _) in operation)
            {
                if (field is not ("apiVersion" or "kind" or "metadata" or "spec" or "status"))
                    throw new ProblemException(source, $"unknown field \"{field}\" in IstioOperator", "valid fields are apiVersion, kind, metadata and spec");
            }
            yield return (source, Mapping(operation, "metadata", source)["name"]?.ToString() ?? "", Mapping(operation, "spec", source));
        }
    }

    private static void Refuse(JsonObject spec, string source)
    {
        if (OperatorSchema.Check(spec).Concat(OperatorShapes.Check(spec)).FirstOrDefault() is { } problem)
            throw new ProblemException(problem with { Object = source });
    }

    private static JsonObject Mapping(JsonObject operation, string field, string source) => operation[field] switch
    {
        null => [],
        JsonObject mapping => mapping,
        var other => throw new ProblemException(new Problem("ISM0202", source, field, $"should be a mapping, not {other.GetValueKind()}",
            "indent its fields below the name")),
    };
}
