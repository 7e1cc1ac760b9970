using System.Text.RegularExpressions;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>A format of texts.</summary>
/// <param name="Problem">Why a text does not have it; null if it does.</param>
internal sealed record CelFormat(string Name, Func<string, string?> Problem);

/// <summary>The named formats of texts, and their check.</summary>
internal static partial class CelFormats
{
    private static readonly CelFormat[] Known =
    [
        new("dns1123Label", ObjectNames.LabelProblem), new("dns1123Subdomain", ObjectNames.SubdomainProblem), new("dns1035Label", ObjectNames.Label1035Problem),
        new("dns1123LabelPrefix", text => ObjectNames.LabelProblem(Whole(text))),
        new("dns1123SubdomainPrefix", text => ObjectNames.SubdomainProblem(Whole(text))),
        new("dns1035LabelPrefix", text => ObjectNames.Label1035Problem(Whole(text))),
        new("qualifiedName", QualifiedNameProblem), new("labelValue", text => text.Length == 0 ? null : NameProblem(text)),
        Checked("uri"), Checked("uuid"), Checked("byte"), Checked("date"), Checked("datetime"),
    ];

    public static readonly CelFunctionSet All = Build();

    private static CelFunctionSet Build()
    {
        var set = new CelFunctionSet()
            .Add<string>("format.named",
                name => Known.FirstOrDefault(format => format.Name == name) is { } found ? CelOptionalValue.Of(found) : CelOptionalValue.None)
            .Add<CelFormat, string>("validate",
                (format, text) => format.Problem(text) is { } problem ? CelOptionalValue.Of(new List<object?> { problem }) : CelOptionalValue.None);
        foreach (var format in Known) set.Add($"format.{format.Name}", 0, _ => format);
        return set;
    }

    private static CelFormat Checked(string name) => new(name, text => Formats.Fits(name, text) ? null : $"must be a valid {name}");

    /// <summary>A prefix may end with a dash, as generated names do.</summary>
    private static string Whole(string prefix) => prefix.EndsWith('-') ? prefix[..^1] + "a" : prefix;

    private static string? QualifiedNameProblem(string text)
    {
        var parts = text.Split('/');
        if (parts.Length > 2) return "a qualified name must consist of an optional DNS subdomain prefix, '/' and a name";
        return (parts.Length == 2 ? ObjectNames.SubdomainProblem(parts[0]) : null) ?? NameProblem(parts[^1]);
    }

    private static string? NameProblem(string text) =>
        text.Length > 63
            ? "must be no more than 63 characters"
            : Name().IsMatch(text)
            ? null
            : "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

    [GeneratedRegex(@"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\z")]
    private static partial Regex Name();
}
