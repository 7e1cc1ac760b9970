using System.Globalization;
using System.Text.Json.Nodes;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>The CustomResourceDefinitions of the Gateway API, standard channel, and the policy that keeps older and experimental ones away from
/// them. They are made from <c>gateway-api.txt</c>.</summary>
public static class GatewayApiCrds
{
    public const string Group = "gateway.networking.k8s.io";
    public const string BundleVersion = "v1.6.1", Channel = "standard";

    /// <summary>The annotations in which definitions say which release they are of, and of which channel.</summary>
    public const string VersionAnnotation = $"{Group}/bundle-version", ChannelAnnotation = $"{Group}/channel";

    /// <summary>The releases whose definitions control planes know, as messages name them.</summary>
    public static readonly string KnownReleases = $"v1.0 to v1.{LastMinor}";

    /// <summary>The minor version of the last of them.</summary>
    private const int LastMinor = 7;

    /// <summary>The name of the policy and of its binding.</summary>
    public const string PolicyName = $"safe-upgrades.{Group}";

    /// <summary>Where the group was approved: API servers ask it of groups below k8s.io.</summary>
    private const string Approval = "https://github.com/kubernetes-sigs/gateway-api/pull/4530";

    private const string File = "gateway-api.txt", Admission = "admissionregistration.k8s.io/v1", Definitions = "apiextensions.k8s.io";

    /// <summary>The names of the definitions of all kinds that control planes read.</summary>
    public static IEnumerable<string> Names => MeshApi.All.Where(kind => kind.IsOfGatewayApi).Select(kind => kind.CrdName);

    /// <summary>The release that a definition says it is of; empty if it does not say.</summary>
    public static string ReleaseOf(JsonObject definition) => definition["metadata"]?["annotations"]?[VersionAnnotation]?.ToString() ?? "";

    /// <summary>Whether control planes know the definitions of a release.</summary>
    public static bool IsKnown(string release) =>
        release.Split('.') is ["v1", var minor, ..] && int.TryParse(minor, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number <= LastMinor;

    /// <summary>The definition of each kind; the caller owns the objects.</summary>
    public static IReadOnlyList<JsonObject> All
    {
        get
        {
            using var text = new StreamReader(typeof(GatewayApiCrds).Assembly.GetManifestResourceStream(File)!);
            var notation = new CrdNotation(text);
            return [.. notation.Kinds.Select(kind => Definition(notation, kind))];
        }
    }

    /// <summary>The policy <c>safe-upgrades</c> and its binding; the caller owns the objects.</summary>
    public static IReadOnlyList<JsonObject> Policy => [Rules(), Binding()];

    private static JsonObject Definition(CrdNotation notation, CrdLine kind)
    {
        var (name, plural) = (kind.Rest.Split(' ')[0].TrimEnd(':'), kind.Rest.Split(' ')[1]);
        var names = new JsonObject
        {
            ["categories"] = new JsonArray("gateway-api"),
            ["kind"] = name,
            ["listKind"] = $"{name}List",
            ["plural"] = plural,
            ["singular"] = name.ToLowerInvariant(),
        };
        var metadata = Metadata($"{plural}.{Group}");
        metadata["annotations"]!["api-approved.kubernetes.io"] = Approval;
        var versions = new JsonArray();
        foreach (var line in kind.Below)
        {
            if (line.Word == "short") names["shortNames"] = new JsonArray([.. line.Rest.Split(' ').Select(one => (JsonNode)one)]);
            else if (line.Word == "label") metadata["labels"] = new JsonObject { [line.Rest.Split('=')[0]] = line.Rest.Split('=')[1] };
            else versions.Add((JsonNode)Version(notation, name, line));
        }
        return new JsonObject
        {
            ["apiVersion"] = $"{Definitions}/v1",
            ["kind"] = "CustomResourceDefinition",
            ["metadata"] = metadata,
            ["spec"] = new JsonObject
            {
                ["group"] = Group,
                ["names"] = names,
                ["scope"] = kind.Rest.EndsWith(" cluster", StringComparison.Ordinal) ? "Cluster" : "Namespaced",
                ["versions"] = versions,
            },
        };
    }

    private static JsonObject Version(CrdNotation notation, string kind, CrdLine line)
    {
        var words = line.Rest.Split(' ');
        var root = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject
            {
                ["apiVersion"] = new JsonObject { ["type"] = "string" },
                ["kind"] = new JsonObject { ["type"] = "string" },
                ["metadata"] = new JsonObject { ["type"] = "object" },
            },
        };
        notation.AddFields(root, line.Below.Where(below => below.Word != "column"));
        var version = new JsonObject
        {
            ["name"] = words[0],
            ["served"] = !words.Contains("unserved"),
            ["storage"] = words.Contains("stored"),
            ["schema"] = new JsonObject { ["openAPIV3Schema"] = root },
            ["subresources"] = words.Contains("without-status") ? new JsonObject() : new JsonObject { ["status"] = new JsonObject() },
        };
        if (words.Contains("deprecated"))
        {
            version["deprecated"] = true;
            version["deprecationWarning"] = $"{Group}/{words[0]} {kind} is deprecated; use {Group}/v1 {kind}";
        }
        var columns = line.Below.Where(below => below.Word == "column").Select(below => (JsonNode)Column(below.Rest.Split(' ', 3))).ToArray();
        if (columns.Length > 0) version["additionalPrinterColumns"] = new JsonArray(columns);
        return version;
    }

    private static JsonObject Column(string[] words)
    {
        var column = new JsonObject { ["name"] = words[0].TrimEnd('+'), ["type"] = words[1], ["jsonPath"] = words[2] };
        if (words[0].EndsWith('+')) column["priority"] = 1;
        return column;
    }

    private static JsonObject Metadata(string name) => new()
    {
        ["name"] = name,
        ["annotations"] = new JsonObject { [VersionAnnotation] = BundleVersion, [ChannelAnnotation] = Channel },
    };

    private static JsonObject Rules()
    {
        const string others = $"object.spec.group != '{Group}'";
        static string Has(string value, string annotation) => $"has({value}.metadata.annotations) && '{annotation}' in {value}.metadata.annotations";
        static string Says(string value, string channel) =>
            $"({Has(value, ChannelAnnotation)} && {value}.metadata.annotations['{ChannelAnnotation}'] == '{channel}')";
        const string version = $"object.metadata.annotations['{VersionAnnotation}']",
            remedy = $"delete the ValidatingAdmissionPolicy {PolicyName} first to do so";
        return new()
        {
            ["apiVersion"] = Admission,
            ["kind"] = "ValidatingAdmissionPolicy",
            ["metadata"] = Metadata(PolicyName),
            ["spec"] = new JsonObject
            {
                ["failurePolicy"] = "Fail",
                ["matchConstraints"] = new JsonObject { ["resourceRules"] = new JsonArray(Resources("*")) },
                ["validations"] = new JsonArray(
                    Rule($"{others} || oldObject == null || {Says("object", Channel)} || {Says("oldObject", "experimental")}",
                        $"the standard channel would be replaced by another one; {remedy}"),
                    Rule($"{others} || ({Has("object", VersionAnnotation)} && "
                        + $"({version}.contains('-rc') || !({version}.matches('v1[.][0-5][.][0-9]+') || {version}.contains('v0'))))",
                        $"the definition is older than v1.6, or does not say its version; {remedy}")),
            },
        };
    }

    private static JsonObject Binding() => new()
    {
        ["apiVersion"] = Admission,
        ["kind"] = "ValidatingAdmissionPolicyBinding",
        ["metadata"] = Metadata(PolicyName),
        ["spec"] = new JsonObject
        {
            ["policyName"] = PolicyName,
            ["validationActions"] = new JsonArray("Deny"),
            ["matchResources"] = new JsonObject { ["resourceRules"] = new JsonArray(Resources("customresourcedefinitions")) },
        },
    };

    private static JsonObject Resources(string names) => new()
    {
        ["apiGroups"] = new JsonArray(Definitions),
        ["apiVersions"] = new JsonArray("v1"),
        ["operations"] = new JsonArray("CREATE", "UPDATE"),
        ["resources"] = new JsonArray(names),
    };

    private static JsonObject Rule(string expression, string message) => new() { ["expression"] = expression, ["message"] = message, ["reason"] = "Invalid" };
}
