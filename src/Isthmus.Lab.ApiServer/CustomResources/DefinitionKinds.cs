using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>Makes the kinds that a CustomResourceDefinition serves.</summary>
internal static class DefinitionKinds
{
    // The order in which a real server lists them for custom resources.
    private static readonly ValueList<string> Verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

    public static GroupResource ResourceOf(JsonObject definition) =>
        new(definition.TextAt("spec", "group"), definition.TextAt("spec", "names", "plural"));

    /// <summary>Serves what the store's definitions define: those of an earlier run of this server.</summary>
    public static void RegisterStored(ApiServerContext context)
    {
        foreach (var stored in context.Store.List(Resources.Definitions).Items)
        {
            var definition = stored.Parse();
            context.Kinds.Replace(ResourceOf(definition), Of(definition));
        }
    }

    /// <summary>One kind for each served version, preferred first; none while the names are not accepted.</summary>
    public static IReadOnlyList<KindDescriptor> Of(JsonObject definition)
    {
        if (!DefinitionConditions.IsTrue(definition, DefinitionConditions.Established)) return [];
        var versions = Json.Objects(definition.At("spec", "versions")).ToList();
        var storage = versions.FirstOrDefault(version => Json.Truth(version["storage"]) == true) ?? versions[0];
        return
        [
            .. versions.Where(version => Json.Truth(version["served"]) == true)
                .OrderBy(version => Json.Text(version["name"]), VersionOrder.Instance)
                .Select(version => Kind(definition, version, Json.Text(storage["name"]))),
        ];
    }

    private static KindDescriptor Kind(JsonObject definition, JsonObject version, string storage)
    {
        var names = definition.At("status", "acceptedNames");
        var (group, name, kind) = (definition.TextAt("spec", "group"), Json.Text(version["name"]), names.TextAt("kind"));
        var scale = version.At("subresources", "scale");
        var subresources = new List<SubresourceDescriptor>();
        if (version.At("subresources", "status") is not null) subresources.Add(new("status", SubresourceDescriptor.ReadWrite));
        if (scale is not null) subresources.Add(new("scale", SubresourceDescriptor.ReadWrite));
        var source = version.At("schema", "openAPIV3Schema") as JsonObject ?? new() { ["x-kubernetes-preserve-unknown-fields"] = true };
        var schema = StructuralSchema.Read((JsonObject)source.DeepClone());
        return new()
        {
            Group = group,
            Version = name,
            Kind = kind,
            Plural = names.TextAt("plural"),
            Singular = names.TextAt("singular"),
            ListKind = names.TextAt("listKind"),
            Namespaced = definition.TextAt("spec", "scope") == "Namespaced",
            ShortNames = Json.Texts(names.At("shortNames")),
            Categories = Json.Texts(names.At("categories")),
            Verbs = Verbs,
            Subresources = subresources.ToValueList(),
            Storage = ResourceOf(definition),
            StorageApiVersion = $"{group}/{storage}",
            Strategy = new CustomStrategy(schema, scale is null ? null : scale.TextAt("specReplicasPath")),
            Scale = scale is null ? null : new(scale.TextAt("specReplicasPath"), scale.TextAt("statusReplicasPath"),
                scale.TextAt("labelSelectorPath") is { Length: > 0 } selector ? selector : null),
            Table = version["additionalPrinterColumns"] is JsonArray { Count: > 0 } columns ? new CustomTable(columns) : null,
            FieldLabels = Json.Objects(version["selectableFields"]).Select(field => Json.Text(field["jsonPath"]).TrimStart('.')).ToValueList(),
            IsCustom = true,
            DeprecationWarning = Deprecation(version, $"{group}/{name} {kind}"),
            CreateForbidden = definition.TextAt("metadata", "deletionTimestamp").Length > 0,
            OpenApiSchema = schema.Source,
        };
    }

    private static string Deprecation(JsonObject version, string what) =>
        Json.Truth(version["deprecated"]) != true ? ""
        : Json.Text(version["deprecationWarning"]) is { Length: > 0 } given ? given
        : $"{what} is deprecated";
}

/// <summary>v2 before v1 before v1beta2 before v1alpha1 before anything else.</summary>
internal sealed class VersionOrder : IComparer<string>
{
    public static readonly VersionOrder Instance = new();

    public int Compare(string? x, string? y)
    {
        var (a, b) = (Rank(x ?? ""), Rank(y ?? ""));
        var order = b.Stability.CompareTo(a.Stability);
        if (order == 0) order = b.Major.CompareTo(a.Major);
        if (order == 0) order = b.Minor.CompareTo(a.Minor);
        return order == 0 ? string.CompareOrdinal(x, y) : order;
    }

    private static (int Stability, int Major, int Minor) Rank(string version)
    {
        var match = System.Text.RegularExpressions.Regex.Match(version, "^v([0-9]{1,9})(?:(alpha|beta)([0-9]{1,9}))?\\z");
        if (!match.Success) return (0, 0, 0);
        var stability = match.Groups[2].Value switch { "" => 3, "beta" => 2, _ => 1 };
        return (stability, int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture),
            match.Groups[3].Success ? int.Parse(match.Groups[3].Value, System.Globalization.CultureInfo.InvariantCulture) : 0);
    }
}
