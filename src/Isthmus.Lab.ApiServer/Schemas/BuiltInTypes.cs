using System.Collections.Concurrent;

namespace Isthmus.Lab.ApiServer.Schemas;

/// <summary>
/// The types of the Kubernetes API, read on first use from the text files beside this class:
/// a type's name on its own line, then one line for each field: `name number [] or {} type` and how patches treat it
/// (`merge=key,key`, `set`, `replace`, `retainkeys`, `inline`). `atomic` beside a type's name: server-side apply sees it as one value;
/// `typemeta`: it has kind and apiVersion wherever it stands.
/// </summary>
public static class BuiltInTypes
{
    private static readonly ConcurrentDictionary<string, Dictionary<string, TypeSchema>> Packages = new(StringComparer.Ordinal);

    /// <param name="name">`core/v1.Pod`.</param>
    public static TypeSchema? Find(string name)
    {
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        return dot < 0 ? null : Packages.GetOrAdd(name[..dot], Load).GetValueOrDefault(name[(dot + 1)..]);
    }

    /// <summary>The folder of Schemas/ for a group: `rbac.authorization.k8s.io` is `rbac`.</summary>
    public static string Package(string group, string version) => group.Length == 0 ? $"core/{version}" : $"{group.Split('.')[0]}/{version}";

    private static Dictionary<string, TypeSchema> Load(string package)
    {
        var types = new Dictionary<string, TypeSchema>(StringComparer.Ordinal);
        using var stream = typeof(BuiltInTypes).Assembly.GetManifestResourceStream($"ApiServer.Schemas.{package.Replace('/', '-')}.txt");
        if (stream is null) return types;
        using var reader = new StreamReader(stream);
        var head = "";
        var fields = new List<FieldSchema>();
        while (reader.ReadLine() is { } line)
        {
            if (line.Length == 0 || line[0] == '#') continue;
            if (line[0] == ' ')
            {
                fields.Add(Field(line.Split(' ', StringSplitOptions.RemoveEmptyEntries), package));
                continue;
            }
            Finish(types, package, head, fields);
            (head, fields) = (line, []);
        }
        Finish(types, package, head, fields);
        return types;
    }

    private static void Finish(Dictionary<string, TypeSchema> types, string package, string head, List<FieldSchema> fields)
    {
        if (head.Length == 0) return;
        var words = head.Split(' ');
        types[words[0]] = new TypeSchema($"{package}.{words[0]}", fields, Find) { Atomic = words.Contains("atomic"), HasTypeMeta = words.Contains("typemeta") };
    }

    private static FieldSchema Field(string[] words, string package)
    {
        var text = words[2];
        var shape = text.StartsWith("[]", StringComparison.Ordinal) ? FieldShape.List
            : text.StartsWith("{}", StringComparison.Ordinal) ? FieldShape.Map
            : FieldShape.Single;
        if (shape != FieldShape.Single) text = text[2..];
        var type = TypeOf(text);
        var typeName = type != FieldType.Message ? "" : text.Contains('.', StringComparison.Ordinal) ? text : $"{package}.{text}";
        var merge = words.Skip(3).FirstOrDefault(word => word.StartsWith("merge", StringComparison.Ordinal));
        var keys = merge is not null && merge.Length > 6 ? merge[6..].Split(',') : [];
        return new(words[0], int.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture), type, shape, typeName,
            words.Contains("inline"), merge is not null, keys.Length > 0 ? keys[0] : "", words.Contains("retainkeys"))
        {
            ListKeys = keys,
            Replaces = words.Contains("replace"),
            Set = words.Contains("set") || merge == "merge",
        };
    }

    private static FieldType TypeOf(string text) => text switch
    {
        "string" => FieldType.String,
        "int32" => FieldType.Int32,
        "int64" => FieldType.Int64,
        "bool" => FieldType.Bool,
        "double" => FieldType.Double,
        "bytes" => FieldType.Bytes,
        "quantity" => FieldType.Quantity,
        "time" => FieldType.Time,
        "microtime" => FieldType.MicroTime,
        "duration" => FieldType.Duration,
        "intorstring" => FieldType.IntOrString,
        "any" => FieldType.Any,
        "string[]" => FieldType.StringList,
        _ => FieldType.Message,
    };
}
