using System.Text.RegularExpressions;

namespace Isthmus.Mesh.Config;

/// <summary>What a field does here.</summary>
public enum FieldEffect
{
    Works,

    /// <summary>Accepted with a warning.</summary>
    Warned,

    /// <summary>An object that sets it is refused.</summary>
    Refused,
}

/// <summary>A field of an API, as its schema declares it.</summary>
/// <param name="Kind">The kind, <c>MeshConfig</c> or <c>MeshNetworks</c>.</param>
/// <param name="Path">The path below <c>spec</c>: <c>http[].match[].headers{}.exact</c>, where <c>[]</c> is any item and <c>{}</c> any key. Empty for a kind
/// that has no effect at all.</param>
public sealed record ApiField(string Kind, string Path, FieldEffect Effect)
{
    /// <summary>What it does in Pods whose proxy is Envoy.</summary>
    public FieldEffect OnEnvoy { get; init; } = Effect;

    /// <summary>Only Envoys make something of it.</summary>
    public bool NeedsEnvoy => OnEnvoy != Effect;
}

/// <summary>Every field that the schemas declare.</summary>
public static partial class ApiFields
{
    public const string MeshConfig = "MeshConfig", MeshNetworks = "MeshNetworks";

    public static IReadOnlyList<ApiField> All { get; } =
    [
        .. MeshApi.Istio.Where(kind => kind != MeshApi.IstioOperator).SelectMany(kind => kind.NeedsEnvoy ? Of(kind.Kind, kind.Spec!, "").Select(ForEnvoys)
            : kind.IsEffective ? Of(kind.Kind, kind.Spec!, "")
            : [new ApiField(kind.Kind, "", kind.IsRefused ? FieldEffect.Refused : FieldEffect.Warned)]),
        .. Of(MeshConfig, MeshSchemas.MeshConfig, ""),
        .. Of(MeshNetworks, MeshSchemas.Networks, ""),
    ];

    public static IEnumerable<ApiField> Of(string kind) => All.Where(field => field.Kind == kind);

    /// <summary>The fields below one that is warned of or refused, or of a kind that is as a whole (an empty path): they share its answer.</summary>
    public static IEnumerable<string> Below(string kind, string path)
    {
        var schema = kind switch
        {
            MeshConfig => MeshSchemas.MeshConfig,
            MeshNetworks => MeshSchemas.Networks,
            _ => MeshApi.Istio.Single(known => known.Kind == kind).Spec!,
        };
        return Leaves(schema, "").Where(leaf => leaf.Length > path.Length && leaf.StartsWith(path, StringComparison.Ordinal)
            && (path.Length == 0 || leaf[path.Length] is '.' or '[' or '{'));
    }

    /// <summary>A path without numbers of items, and names of items and keys: <c>http[].match[].headers[].exact</c>.</summary>
    public static string WithoutItems(string path) => Item().Replace(path.Replace("{}", "[]", StringComparison.Ordinal), "[]");

    [GeneratedRegex(@"\[[^\]]*\]")]
    private static partial Regex Item();

    private static ApiField ForEnvoys(ApiField field) =>
        field.Effect == FieldEffect.Works ? field with { Effect = FieldEffect.Warned, OnEnvoy = FieldEffect.Works } : field;

    private static IEnumerable<string> Leaves(Schema schema, string path) => schema switch
    {
        ObjectSchema { Fields.Count: > 0 } value => value.Fields.OrderBy(field => field.Key, StringComparer.Ordinal)
            .SelectMany(field => Leaves(field.Value, ObjectSchema.Join(path, field.Key))),
        ListSchema list => Leaves(list.Item, path + "[]"),
        MapSchema map => Leaves(map.Value, path + "{}"),
        IdleSchema idle => Leaves(idle.Shape, path),
        RefusedSchema refused => Leaves(refused.Shape, path),
        _ => [path],
    };

    /// <summary>Fields below one that is warned of or refused are not listed.</summary>
    private static IEnumerable<ApiField> Of(string kind, Schema schema, string path) => schema switch
    {
        ObjectSchema { Fields.Count: 0 } => [new(kind, path, FieldEffect.Works)],
        ObjectSchema value => value.Fields.OrderBy(field => field.Key, StringComparer.Ordinal)
            .SelectMany(field => Of(kind, field.Value, ObjectSchema.Join(path, field.Key))),
        ListSchema list => Of(kind, list.Item, path + "[]"),
        MapSchema map => Of(kind, map.Value, path + "{}"),
        IdleSchema => [new(kind, path, FieldEffect.Warned)],
        RefusedSchema => [new(kind, path, FieldEffect.Refused)],
        _ => [new(kind, path, FieldEffect.Works)],
    };
}
