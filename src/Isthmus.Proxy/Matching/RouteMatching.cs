using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Matching;

internal enum PathMatchKind { Prefix, Exact, Regex, SeparatedPrefix }

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

    public bool IsMatch(ReadOnlySpan<byte> path) => kind switch
    {
        PathMatchKind.Exact => caseSensitive ? path.SequenceEqual(_bytes) : Ascii.EqualsIgnoreCase(path, _bytes),
        PathMatchKind.Regex => regex!.IsMatch(Encoding.UTF8.GetString(path)),
        PathMatchKind.SeparatedPrefix => StartsWith(path) && (path.Length == _bytes.Length || path[_bytes.Length] == '/'),
        _ => StartsWith(path),
    };

    private bool StartsWith(ReadOnlySpan<byte> path) =>
        path.Length >= _bytes.Length && (caseSensitive ? path.StartsWith(_bytes) : Ascii.EqualsIgnoreCase(path[.._bytes.Length], _bytes));
}

/// <summary>A match of one header field, or of a pseudo header (<c>:method</c>, <c>:path</c>, <c>:authority</c>, <c>:scheme</c>).</summary>
internal sealed class HeaderMatch(string name, TextMatch? value, (long Start, long End)? range, bool present, bool invert, bool missingIsEmpty)
{
    private readonly byte[] _name = Encoding.ASCII.GetBytes(name.ToLowerInvariant());

    public bool IsMatch(RequestHead request, string scheme) => Decide(Read(request, scheme));

    private bool Decide(string? found)
    {
        if (found is null)
        {
            if (!missingIsEmpty) return value is null && range is null ? present == invert : false;
            found = "";
        }
        var matches = value is not null ? value.IsMatch(found)
            : range is { } r ? long.TryParse(found, out var number) && number >= r.Start && number < r.End
            : present;
        return matches != invert;
    }

    /// <summary>Whether a response has the field.</summary>
    public bool IsMatch(ResponseHead response) =>
        Decide(_name.AsSpan().SequenceEqual(":status"u8) ? response.Status.ToString(System.Globalization.CultureInfo.InvariantCulture) : response.Headers.GetJoined(_name));

    private string? Read(RequestHead request, string scheme) => _name[0] != ':' ? request.Headers.GetJoined(_name) : name switch
    {
        ":method" => request.Method,
        ":path" => request.TargetText,
        ":authority" => request.Authority,
        ":scheme" => scheme,
        _ => null,
    };
}

/// <summary>A match of one query parameter; without a value, presence is enough.</summary>
internal sealed class QueryMatch(string name, TextMatch? value)
{
    public bool IsMatch(ReadOnlySpan<byte> target)
    {
        var question = target.IndexOf((byte)'?');
        if (question < 0) return false;
        var query = Encoding.UTF8.GetString(target[(question + 1)..]);
        foreach (var range in query.AsSpan().Split('&'))
        {
            var pair = query.AsSpan(range);
            var equals = pair.IndexOf('=');
            var key = equals < 0 ? pair : pair[..equals];
            if (!key.SequenceEqual(name)) continue;
            return value is null || value.IsMatch(equals < 0 ? "" : pair[(equals + 1)..].ToString());
        }
        return false;
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
