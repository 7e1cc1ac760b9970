using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Matching;

internal enum PathMatchKind { Prefix, Exact, Regex, SeparatedPrefix, Connect }

/// <summary>A match of the path without its query.</summary>
internal sealed class PathMatch(PathMatchKind kind, string text, bool caseSensitive, Regex? regex)
{
    private readonly byte[] _bytes = Encoding.UTF8.GetBytes(text);

    /// <summary>Length in bytes of what <c>prefix_rewrite</c> replaces.</summary>
    public int RewrittenLength(ReadOnlySpan<byte> path) => kind switch
    {
        PathMatchKind.Prefix or PathMatchKind.SeparatedPrefix => _bytes.Length,
        _ => path.Length,
    };

    /// <param name="path">Empty for CONNECT, which has none.</param>
    public bool IsMatch(ReadOnlySpan<byte> path) => path.IsEmpty ? kind == PathMatchKind.Connect : kind switch
    {
        PathMatchKind.Connect => false,
        PathMatchKind.Exact => caseSensitive ? path.SequenceEqual(_bytes) : AsciiCase.Equal(path, _bytes),
        PathMatchKind.Regex => TextMatch.IsMatch(regex!, path, Reading.All),
        PathMatchKind.SeparatedPrefix => StartsWith(path) && (path.Length == _bytes.Length || path[_bytes.Length] == '/'),
        _ => StartsWith(path),
    };

    private bool StartsWith(ReadOnlySpan<byte> path) =>
        path.Length >= _bytes.Length && (caseSensitive ? path.StartsWith(_bytes) : AsciiCase.Equal(path[.._bytes.Length], _bytes));
}

/// <summary>A match of one query parameter; without a value, presence is enough.</summary>
internal sealed class QueryMatch(string name, TextMatch? value)
{
    private readonly byte[] _name = Encoding.UTF8.GetBytes(name);

    /// <summary>Whether the first parameter of the name matches, as in Envoy's routes.</summary>
    public bool IsMatch(ReadOnlySpan<byte> target) => IsMatch(target, null);

    /// <param name="target">Path and query.</param>
    /// <param name="reading">Which of several parameters of the name have to match; null: the first.</param>
    public bool IsMatch(ReadOnlySpan<byte> target, Reading? reading)
    {
        var question = target.IndexOf((byte)'?');
        if (question < 0) return false;
        var query = target[(question + 1)..];
        var isFound = false;
        foreach (var range in query.Split((byte)'&'))
        {
            var pair = query[range];
            var equals = pair.IndexOf((byte)'=');
            if (!(equals < 0 ? pair : pair[..equals]).SequenceEqual(_name)) continue;
            var matches = value is null || value.IsMatch(equals < 0 ? default : pair[(equals + 1)..], reading ?? Reading.All);
            if (reading is null || matches == (reading == Reading.Any)) return matches;
            isFound = true;
        }
        return isFound && reading == Reading.All;
    }
}

/// <summary>Path, header fields and query parameters together.</summary>
internal sealed class RequestMatch(PathMatch path, HeaderMatch[] headers, QueryMatch[] queries)
{
    public bool IsMatch(RequestHead request, string scheme)
    {
        var target = request.Target;
        var question = target.IndexOf((byte)'?');
        if (!path.IsMatch(question < 0 ? target : target[..question])) return false;
        foreach (var header in headers)
            if (!header.IsMatch(request, scheme)) return false;
        foreach (var query in queries)
            if (!query.IsMatch(request.Target)) return false;
        return true;
    }
}
