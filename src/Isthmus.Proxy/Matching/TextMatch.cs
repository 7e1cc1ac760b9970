using System.Text.RegularExpressions;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Matching;

/// <summary>A string matcher of a resource, compiled once. Regular expressions match whole values, in time linear to the input.</summary>
internal sealed class TextMatch
{
    private enum Kind { Exact, Prefix, Suffix, Contains, Regex }

    private readonly Kind _kind;
    private readonly string _text;
    private readonly StringComparison _comparison;
    private readonly Regex? _regex;

    private TextMatch(Kind kind, string text, bool ignoreCase)
    {
        _kind = kind;
        _text = text;
        _comparison = ignoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        if (kind == Kind.Regex) _regex = CompileRegex(text, ignoreCase);
    }

    /// <summary>The text of an exact match; null for other kinds.</summary>
    public string? ExactText => _kind == Kind.Exact ? _text : null;

    public static TextMatch Exact(string text) => new(Kind.Exact, text, false);

    public static TextMatch Prefix(string text) => new(Kind.Prefix, text, false);

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

    public bool IsMatch(string value) => _kind switch
    {
        Kind.Exact => value.Equals(_text, _comparison),
        Kind.Prefix => value.StartsWith(_text, _comparison),
        Kind.Suffix => value.EndsWith(_text, _comparison),
        Kind.Contains => value.Contains(_text, _comparison),
        _ => _regex!.IsMatch(value),
    };

    public override string ToString() => $"{_kind} {_text}";

    /// <summary>Compiles a pattern of a resource so that it matches whole values.</summary>
    /// <exception cref="ResourceException">The pattern is invalid, or cannot be matched in linear time.</exception>
    public static Regex CompileRegex(string pattern, bool ignoreCase = false, bool whole = true)
    {
        if (pattern.Length > 4096) throw new ResourceException("a regular expression longer than 4096 characters");
        var options = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | (ignoreCase ? RegexOptions.IgnoreCase : 0);
        try
        {
            return new Regex(whole ? $@"\A(?:{pattern})\z" : pattern, options);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new ResourceException($"regular expression '{pattern}': {e.Message}", e);
        }
    }
}
