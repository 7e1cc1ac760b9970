using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>One thing that a match asks for, and that a request does not have.</summary>
/// <param name="Field">Within the match.</param>
/// <param name="Words">What the match is for, and what the request has.</param>
/// <param name="Remedy">Empty: nothing in particular.</param>
internal sealed record RouteMiss(string Field, string Words, string Remedy)
{
    /// <summary>Null: the value is what the match asks for, or it asks for nothing.</summary>
    /// <param name="name">What the value is.</param>
    /// <param name="isOfApi">The match is of a route of the Gateway API.</param>
    public static RouteMiss? Of(string name, string field, StringMatch? wanted, string? value, bool ignoreCase, bool isOfApi)
    {
        if (wanted is not { } match || IsMatch(match, value, ignoreCase)) return null;
        var at = match.Kind == MatchKind.Present || (isOfApi && field == "method") ? field
            : $"{field}.{(isOfApi ? "value" : match.Kind == MatchKind.Regex ? "regex" : match.Kind == MatchKind.Exact ? "exact" : "prefix")}";
        return new(at, $"requests with {Wanted(name, match)}, and this one has {(value is null ? "none" : value)}",
            value is null ? $"send {name}" : Mended(name, match, value));
    }

    /// <summary>The same for the service and method of a gRPC call.</summary>
    public static RouteMiss? OfGrpc(StringMatch? wanted, string path)
    {
        if (wanted is not { } match || IsMatch(match, path, false)) return null;
        var isMethod = match.Kind == MatchKind.Exact && path.Split('/') is [_, var service, _]
            && match.Value.StartsWith($"/{service}/", StringComparison.Ordinal);
        var part = isMethod ? 2 : 1;
        return new(isMethod ? "method.method" : "method.service", $"calls of {match.Value}, and this one is of {path}",
            match.Kind == MatchKind.Regex || path.Split('/').Length <= part ? "" : $"write {path.Split('/')[part]} there");
    }

    /// <summary>The scheme is that of the connection to the proxy, and not that of the client before what else ends TLS.</summary>
    /// <param name="isFirst">Clients outside come to the proxy.</param>
    public static RouteMiss? OfScheme(StringMatch? wanted, string scheme, bool isFirst) =>
        Of("scheme", "scheme", wanted, scheme, false, false) is not { } miss ? null : miss with
        {
            Words = miss.Words.Replace($"this one has {scheme}", $"this one comes to the proxy by {scheme}"
                + (isFirst && scheme == "http" ? ", also where a load balancer before it has ended TLS" : ""), StringComparison.Ordinal),
            Remedy = "remove scheme from the match",
        };

    public static RouteMiss? Unwanted(string name, StringMatch unwanted, string? value) => value is null || !IsMatch(unwanted, value, false) ? null
        : new($"withoutHeaders[{name}]", $"requests without header {name}, and this one has {value}", $"do not send header {name}");

    private static string Wanted(string name, StringMatch match) => match.Kind switch
    {
        MatchKind.Present => name,
        MatchKind.Prefix => $"{name} beginning with {match.Value}",
        MatchKind.PathPrefix => $"the elements {match.Value} at the beginning of the {name}",
        MatchKind.Regex => $"{name} that {match.Value} matches from beginning to end",
        _ => $"{name} {match.Value}",
    };

    private static string Mended(string name, StringMatch match, string value) => match.Kind switch
    {
        MatchKind.Regex => Longer(match.Value, value) is { Length: > 0 } pattern ? $"write {pattern} there" : "",
        MatchKind.Exact or MatchKind.Prefix when name == "path" && match.Value.Split('?', 2) is [var plain, _]
            && IsMatch(match with { Value = plain }, value, false) => $"write {plain} there, because the query is not a part of the path (queryParams)",
        MatchKind.PathPrefix when value.StartsWith(match.Value, StringComparison.Ordinal) => $"write {Element(match.Value, value)} there",
        MatchKind.Exact when value.StartsWith(match.Value, StringComparison.Ordinal) && name == "path" => "match the path by prefix",
        _ when IsMatch(match, value, true) =>
            $"write {(match.Kind == MatchKind.Exact ? value : value[..match.Value.Length])} there: upper and lower case differ",
        MatchKind.Exact or MatchKind.Prefix or MatchKind.PathPrefix when name == "path" && Beginning(value, match.Value) is var meant
            && Spelling.IsMistyped(match.Value, meant) => $"write {meant} there, or call {match.Value}",
        _ => "",
    };

    /// <summary>The beginning of a path with as many elements as another one.</summary>
    internal static string Beginning(string path, string other) => string.Join('/', path.Split('/').Take(other.Split('/').Length));

    /// <summary>The shortest beginning of a path that has the prefix, and ends with an element.</summary>
    private static string Element(string prefix, string path) => (path.IndexOf('/', prefix.Length) is var end and > 0) ? path[..end] : path;

    /// <summary>The pattern with what it lacks to match the whole value; empty when it matches no part of it.</summary>
    private static string Longer(string pattern, string value) =>
        new[] { $"{pattern}.*", $".*{pattern}", $".*{pattern}.*" }.FirstOrDefault(longer => IsWhole(longer, value, false)) ?? "";

    /// <summary>Whether a value is one that a match takes.</summary>
    internal static bool IsMatch(StringMatch match, string? value, bool ignoreCase)
    {
        if (value is null) return false;
        var comparison = ignoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        return match.Kind switch
        {
            MatchKind.Present => true,
            MatchKind.Exact => value.Equals(match.Value, comparison),
            MatchKind.Prefix => value.StartsWith(match.Value, comparison),
            MatchKind.PathPrefix => match.Value == "/" || value.Equals(match.Value, comparison) || value.StartsWith($"{match.Value}/", comparison),
            _ => IsWhole(match.Value, value, ignoreCase),
        };
    }

    private static bool IsWhole(string pattern, string value, bool ignoreCase)
    {
        try
        {
            return LinearRegex.Compile(pattern, whole: true, ignoreCase).IsMatch(value);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return false;
        }
    }
}
