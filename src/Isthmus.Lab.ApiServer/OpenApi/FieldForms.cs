using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;

namespace Isthmus.Lab.ApiServer.OpenApi;

/// <summary>What OpenAPI says about kinds and fields in both of its versions.</summary>
internal static class FieldForms
{
    internal static string PathOf(KindDescriptor kind) =>
        $"{(kind.Group.Length == 0 ? "/api/" : $"/apis/{kind.Group}/")}{kind.Version}/"
            + $"{(kind.Namespaced ? "namespaces/{namespace}/" : "")}{kind.Plural}/{{name}}";

    /// <summary>The definition that a field refers to; null if its type is written in place.</summary>
    internal static string? Definition(TypeSchema type, FieldSchema field) => field.Type switch
    {
        FieldType.Message => SchemaNames.Of(type.TypeOf(field)?.Name ?? field.TypeName),
        FieldType.Quantity => SchemaNames.Quantity,
        FieldType.IntOrString => SchemaNames.IntOrString,
        FieldType.Time => SchemaNames.Time,
        FieldType.MicroTime => SchemaNames.MicroTime,
        _ => null,
    };

    /// <summary>JSON type and format of a scalar; the format may be empty.</summary>
    internal static (string Type, string Format) Scalar(FieldType type) => type switch
    {
        FieldType.Int32 => ("integer", "int32"),
        FieldType.Int64 => ("integer", "int64"),
        FieldType.Bool => ("boolean", ""),
        FieldType.Double => ("number", "double"),
        FieldType.Bytes => ("string", "byte"),
        _ => ("string", ""),
    };

    /// <summary>The value of <c>x-kubernetes-patch-strategy</c>; empty for the default.</summary>
    internal static string PatchStrategy(FieldSchema field) => (field.Merges, field.Replaces, field.RetainKeys) switch
    {
        (true, _, true) => "merge,retainKeys",
        (true, _, _) => "merge",
        (_, true, _) => "replace",
        (_, _, true) => "retainKeys",
        _ => "",
    };
}
