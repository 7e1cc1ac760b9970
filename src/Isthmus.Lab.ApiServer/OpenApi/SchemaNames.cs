using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.OpenApi;

/// <summary>Names of definitions, as clients know them: `io.k8s.api.core.v1.Pod`.</summary>
internal static class SchemaNames
{
    internal const string Quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity";
    internal const string IntOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
    internal const string Time = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
    internal const string MicroTime = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
    private const string MetaPrefix = "io.k8s.apimachinery.pkg.apis.meta.v1.";

    /// <param name="typeName">`core/v1.Pod`.</param>
    internal static string Of(string typeName)
    {
        if (typeName.StartsWith("meta/v1.", StringComparison.Ordinal)) return MetaPrefix + typeName["meta/v1.".Length..];
        var prefix = typeName.StartsWith("apiextensions/", StringComparison.Ordinal) ? "io.k8s.apiextensions-apiserver.pkg.apis."
            : typeName.StartsWith("apiregistration/", StringComparison.Ordinal) ? "io.k8s.kube-aggregator.pkg.apis."
            : "io.k8s.api.";
        return prefix + typeName.Replace('/', '.');
    }

    internal static string Of(KindDescriptor kind) =>
        kind.Schema is { } schema ? Of(schema.Name) : $"{string.Join('.', kind.Group.Split('.').Reverse())}.{kind.Version}.{kind.Kind}";

    /// <summary>The definitions that leaf types refer to, with JSON type and format.</summary>
    internal static IEnumerable<(string Name, string Type, string Format)> Leaves =>
    [
        (Quantity, "string", ""), (IntOrString, "string", "int-or-string"), (Time, "string", "date-time"), (MicroTime, "string", "date-time"),
    ];

    /// <summary>All types that these kinds are made of.</summary>
    internal static IEnumerable<TypeSchema> Closure(IEnumerable<KindDescriptor> kinds)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<TypeSchema>(kinds.Select(kind => kind.Schema).OfType<TypeSchema>());
        while (open.TryPop(out var type))
        {
            if (!seen.Add(type.Name)) continue;
            yield return type;
            foreach (var field in type.Fields)
                if (type.TypeOf(field) is { } inner) open.Push(inner);
        }
    }
}
