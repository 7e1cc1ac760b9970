using System.Text;
using System.Text.RegularExpressions;
using System.Text.Unicode;
using Isthmus.Core.Names;
using Isthmus.Proxy.Loops;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Matching;

/// <summary>A string matcher of a resource, compiled once. It compares bytes. Regular expressions match whole values, in time linear to the
/// input.</summary>
internal sealed class TextMatch
{
    private enum Kind { Exact, Prefix, Suffix, Contains, Regex }

    private readonly Kind _kind;
    private readonly string _text;
    private readonly byte[] _bytes;
    private readonly bool _ignoresCase;
    private readonly Regex? _regex;

    private TextMatch(Kind kind, string text, bool ignoreCase)
    {
        (_kind, _text, _bytes, _ignoresCase) = (kind, text, Encoding.UTF8.GetBytes(text), ignoreCase);
        if (kind == Kind.Regex) _regex = CompileRegex(text, ignoreCase);
    }

    /// <summary>The text of an exact match; null for other kinds.</summary>
    public string? ExactText => _kind == Kind.Exact ? _text : null;

    public static TextMatch Exact(string text) => new(Kind.Exact, text, false);

    public static TextMatch Prefix(string text) => new(Kind.Prefix, text, false);

    /// <exception cref="ResourceException">The pattern cannot be matched in linear time.</exception>
    public static TextMatch Pattern(string regex) => new(Kind.Regex, regex, false);

    /// <exception cref="ResourceException">An unknown kind of match, or an invalid pattern.</exception>
    public static TextMatch From(StringMatcher matcher) => matcher.MatchPatternCase switch
    {
        StringMatcher.MatchPatternOneofCase.Exact => new(Kind.Exact, matcher.Exact, matcher.IgnoreCase),
        StringMatcher.MatchPatternOneofCase.Prefix => new(Kind.Prefix, matcher.Prefix, matcher.IgnoreCase),
        StringMatcher.MatchPatternOneofCase.Suffix => new(Kind.Suffix, matcher.Suffix, matcher.IgnoreCase),
        StringMatcher.MatchPatternOneofCase.Contains => new(Kind.Contains, matcher.Contains, matcher.IgnoreCase),
        StringMatcher.MatchPatternOneofCase.SafeRegex => new(Kind.Regex, matcher.SafeRegex.Regex, matcher.IgnoreCase),
        _ => throw new ResourceException("a string matcher without a known kind of match"),
    };

    /// <param name="value">Bytes as they were received.</param>
    /// <param name="reading">Whether bytes that are not UTF-8, and so not text to a regular expression, match one.</param>
    public bool IsMatch(ReadOnlySpan<byte> value, Reading reading) => _kind switch
    {
        Kind.Exact => Same(value),
        Kind.Prefix => value.Length >= _bytes.Length && Same(value[.._bytes.Length]),
        Kind.Suffix => value.Length >= _bytes.Length && Same(value[^_bytes.Length..]),
        Kind.Contains => _ignoresCase ? AsciiCase.Contains(value, _bytes) : value.IndexOf(_bytes) >= 0,
        _ => IsMatch(_regex!, value, reading),
    };

    /// <param name="value">Text that was received as such.</param>
    public bool IsMatch(string value)
    {
        if (_kind == Kind.Regex) return _regex!.IsMatch(value);
        Span<byte> small = stackalloc byte[512];
        var bytes = Encoding.UTF8.GetMaxByteCount(value.Length) <= small.Length ? small : new byte[Encoding.UTF8.GetByteCount(value)];
        return IsMatch(bytes[..Encoding.UTF8.GetBytes(value, bytes)], Reading.All);
    }

    public override string ToString() => $"{_kind} {_text}";

    /// <summary>Compiles a pattern of a resource so that it matches whole values.</summary>
    /// <exception cref="ResourceException">The pattern is invalid, or cannot be matched in linear time.</exception>
    public static Regex CompileRegex(string pattern, bool ignoreCase = false, bool whole = true)
    {
        try
        {
            return LinearRegex.Compile(pattern, whole, ignoreCase);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new ResourceException($"regular expression '{pattern}': {e.Message}", e);
        }
    }

    /// <summary>Whether a pattern matches bytes. Replacement characters would make different bytes the same text, so bytes that are not UTF-8 match
    /// as the reading says.</summary>
    public static bool IsMatch(Regex pattern, ReadOnlySpan<byte> value, Reading reading)
    {
        const int Small = 256;
        if (!Utf8.IsValid(value)) return reading == Reading.Any;
        if (value.Length <= Small)
        {
            Span<char> small = stackalloc char[Small];
            return pattern.IsMatch(small[..Encoding.UTF8.GetChars(value, small)]);
        }
        var chars = Buffers<char>.Rent(value.Length);
        var matches = pattern.IsMatch(chars.AsSpan(0, Encoding.UTF8.GetChars(value, chars)));
        Buffers<char>.Return(chars);
        return matches;
    }

    private bool Same(ReadOnlySpan<byte> value) => _ignoresCase ? AsciiCase.Equal(value, _bytes) : value.SequenceEqual(_bytes);
}
