namespace Isthmus.Lab.ApiServer;

/// <summary>What a field holds on the wire.</summary>
public enum FieldType
{
    String,
    Int32,
    Int64,
    Bool,
    Double,
    Bytes,
    Message,
    Quantity,
    Time,
    MicroTime,
    Duration,
    IntOrString,

    /// <summary>Any JSON: raw extensions, the schema of a custom resource.</summary>
    Any,
}

public enum FieldShape
{
    Single,
    List,
    Map,
}

/// <summary>One field of a built-in type.</summary>
/// <param name="Number">Field number in protobuf.</param>
/// <param name="TypeName">Name of the message, or empty.</param>
/// <param name="MergeKey">Lists that strategic merge patches merge by this key; empty: merged as a set when <paramref name="Merges"/>.</param>
public sealed record FieldSchema(string Name, int Number, FieldType Type, FieldShape Shape, string TypeName, bool Inline, bool Merges, string MergeKey, bool RetainKeys)
{
    /// <summary>Keys of a list in server-side apply; empty for atomic lists and sets.</summary>
    public IReadOnlyList<string> ListKeys { get; init; } = [];

    public bool Atomic { get; init; }
}

/// <summary>A built-in type: its fields in the order of its declaration. Shared by decoding, patches, OpenAPI and protobuf.</summary>
public sealed class TypeSchema(string name, IReadOnlyList<FieldSchema> fields, Func<string, TypeSchema?> lookup)
{
    private readonly Dictionary<string, FieldSchema> _byName = fields.ToDictionary(field => field.Name);
    private readonly Dictionary<int, FieldSchema> _byNumber = fields.DistinctBy(field => field.Number).ToDictionary(field => field.Number);

    /// <summary>`core/v1.Pod`.</summary>
    public string Name { get; } = name;

    public IReadOnlyList<FieldSchema> Fields { get; } = fields;

    public FieldSchema? Field(string fieldName) => _byName.GetValueOrDefault(fieldName);

    public FieldSchema? Field(int number) => _byNumber.GetValueOrDefault(number);

    public TypeSchema? TypeOf(FieldSchema field) => field.TypeName.Length == 0 ? null : lookup(field.TypeName);
}
