using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Spellings of a path that match none of a policy's paths, although some servers read them as the path. Pure.</summary>
public static class PathSpellings
{
    /// <summary>Each with the last normalization that leaves it as it is.</summary>
    private static readonly (PathNormalization Last, Func<string, string> Spell)[] Ambiguous =
    [
        (PathNormalization.None, path => "/." + path),
        (PathNormalization.Base, path => "/" + path),
        (PathNormalization.MergeSlashes, path => "/%2F" + path[1..]),
        (PathNormalization.DecodeAndMergeSlashes, path => "/x/..;" + path),
        (PathNormalization.DecodeAndMergeSlashes, path => path + ";x"),
    ];

    private static readonly Func<string, string>[] Lenient = [path => path.ToUpperInvariant(), path => path + "/"];

    /// <summary>Spellings that a normalization leaves as they are, and that servers with another one read as one of the paths.</summary>
    /// <param name="paths">As an AuthorizationPolicy has them: with <c>*</c> at an end, or templates.</param>
    public static IReadOnlyList<string> Passing(ValueList<string> paths, PathNormalization normalization) =>
        Passing(paths, Ambiguous.Where(way => normalization <= way.Last).Select(way => way.Spell));

    /// <summary>Spellings that are other paths, by every normalization, but not for servers that ignore case or a slash at the end.</summary>
    public static IReadOnlyList<string> PassingAsOthers(ValueList<string> paths) => Passing(paths, Lenient);

    private static List<string> Passing(ValueList<string> paths, IEnumerable<Func<string, string>> ways)
    {
        var patterns = paths.Select(path => RulePattern.Of(RuleKeys.Path, path)).ToList();
        return [.. ways.SelectMany(way => paths.Select(path => way(Example(path)))).Distinct()
            .Where(spelling => !patterns.Exists(pattern => pattern.Covers(spelling)))];
    }

    /// <summary>A path that the text of the policy matches.</summary>
    private static string Example(string path)
    {
        if (path.StartsWith('*')) return path[1..].StartsWith('/') ? path[1..] : "/x" + path[1..];
        var example = path.Replace("{**}", "x", StringComparison.Ordinal).Replace("{*}", "x", StringComparison.Ordinal);
        if (example.EndsWith('*')) example = example[..^1] + (example.EndsWith("/*", StringComparison.Ordinal) ? "x" : "");
        return example.StartsWith('/') ? example : "/" + example;
    }
}
