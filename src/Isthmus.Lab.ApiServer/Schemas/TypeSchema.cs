namespace Isthmus.Lab.ApiServer.Schemas;

/// <summary>What a field holds.</summary>
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

    /// <summary>A list of strings as the value of a map.</summary>
    StringList,

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
/// <param name="Number">Field number in protobuf; 0 where the type has no protobuf form.</param>
/// <param name="TypeName">Name of the message, or empty.</param>
/// <param name="Inline">On the wire a message of its own, in JSON part of the one that holds it.</param>
/// <param name="MergeKey">Lists that strategic merge patches merge by this key; empty: merged as a set when
/// <paramref name="Merges"/>.</param>
/// <param name="RetainKeys">A strategic merge patch may say which keys remain.</param>
public sealed record FieldSchema(string Name, int Number, FieldType Type, FieldShape Shape, string TypeName, bool Inline, bool Merges, string MergeKey,
    bool RetainKeys)
{
    /// <summary>Keys of a list in server-side apply; empty for atomic lists and sets.</summary>
    public IReadOnlyList<string> ListKeys { get; init; } = [];

    /// <summary>A strategic merge patch replaces the value whole.</summary>
    public bool Replaces { get; init; }

    /// <summary>A list without duplicates or order.</summary>
    public bool Set { get; init; }
}

/// <summary>A built-in type: its fields in the order of its declaration. Shared by decoding, patches, OpenAPI and protobuf.</summary>
/// <param name="wireFields">As protobuf carries them, with inlined messages as fields.</param>
public sealed class TypeSchema(string name, IReadOnlyList<FieldSchema> wireFields, Func<string, TypeSchema?> lookup)
{
    private readonly Lazy<Shape> _shape = new(() => new(wireFields, lookup));

    /// <summary>`core/v1.Pod`.</summary>
    public string Name { get; } = name;

    /// <summary>As JSON shows them: the fields of an inlined message are the type's own.</summary>
    public IReadOnlyList<FieldSchema> Fields => _shape.Value.Fields;

    /// <summary>Server-side apply sees the whole as one value.</summary>
    public bool Atomic { get; init; }

    /// <summary>It may have kind and apiVersion even inside another object.</summary>
    public bool HasTypeMeta { get; init; }

    public FieldSchema? Field(string fieldName) => _shape.Value.ByName.GetValueOrDefault(fieldName);

    public FieldSchema? WireField(int number) => _shape.Value.ByNumber.GetValueOrDefault(number);

    public TypeSchema? TypeOf(FieldSchema field) => field.TypeName.Length == 0 ? null : lookup(field.TypeName);

    // Types refer to each other in circles across packages, so references are resolved on first use.
    private sealed class Shape
    {
        internal Shape(IReadOnlyList<FieldSchema> wireFields, Func<string, TypeSchema?> lookup)
        {
            Fields = [.. wireFields.SelectMany(field => field.Inline ? [.. lookup(field.TypeName)?.Fields ?? []] : new[] { field })];
            ByName = Fields.DistinctBy(field => field.Name).ToDictionary(field => field.Name);
            ByNumber = wireFields.DistinctBy(field => field.Number).ToDictionary(field => field.Number);
        }

        internal IReadOnlyList<FieldSchema> Fields { get; }

        internal Dictionary<string, FieldSchema> ByName { get; }

        internal Dictionary<int, FieldSchema> ByNumber { get; }
    }
}
