using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;

namespace Isthmus.Mesh.Model;

/// <summary>What a value of a <see cref="RuleTerm"/> is compared with: texts, and wildcards between them. Which <c>*</c> is a wildcard depends on the
/// attribute; any other one is a character.</summary>
public sealed class RulePattern
{
    private const string Everything = ".*", Something = ".+", NoSlash = "[^/]*", Segment = "[^/]+";

    /// <summary>Null: proxies do not use the expression, because it is too long. It matches nothing.</summary>
    private readonly Lazy<Regex?> _compiled;

    private RulePattern(ValueList<string> texts, ValueList<string> wildcards, bool isOfItem = false)
    {
        (Texts, Wildcards, IsOfItem) = (texts, wildcards, isOfItem);
        _compiled = new(() => Regex is { Length: <= LinearRegex.Longest } regex ? LinearRegex.Compile(regex, whole: true) : null);
    }

    /// <summary>One more than there are wildcards.</summary>
    public ValueList<string> Texts { get; }

    /// <summary>The regular expression of each.</summary>
    public ValueList<string> Wildcards { get; }

    /// <summary>The value is in brackets: one item of a list has to match.</summary>
    public bool IsOfItem { get; }

    /// <summary>Any text, but not none.</summary>
    public bool IsAnything => Wildcards is [Something];

    /// <summary>The text that it is; null if it has wildcards.</summary>
    public string? Exact => Texts is [var text] ? text : null;

    /// <summary>What matching text begins with; null: that does not describe it.</summary>
    public string? Prefix => (Texts, Wildcards) is ([var text, ""], [Everything]) ? text : null;

    /// <summary>What matching text ends with; null: that does not describe it.</summary>
    public string? Suffix => (Texts, Wildcards) is (["", var text], [Everything]) ? text : null;

    /// <summary>The same as a regular expression.</summary>
    public string Regex
    {
        get
        {
            var regex = new StringBuilder(LinearRegex.Literal(Texts[0]));
            for (var i = 0; i < Wildcards.Count; i++) regex.Append(Wildcards[i]).Append(LinearRegex.Literal(Texts[i + 1]));
            return regex.ToString();
        }
    }

    /// <param name="key">The attribute.</param>
    public static RulePattern Of(string key, string value) => key switch
    {
        RuleKeys.ServiceAccount or RuleKeys.SourceIp or RuleKeys.RemoteIp or RuleKeys.DestinationIp or RuleKeys.DestinationPort => new([value], []),
        RuleKeys.Namespace => Split(value, Everything),
        RuleKeys.TrustDomain => Split(value, NoSlash),
        RuleKeys.Path when value.Contains("{*}", StringComparison.Ordinal) || value.Contains("{**}", StringComparison.Ordinal) => Template(value),
        _ when key.StartsWith(RuleKeys.Metadata, StringComparison.Ordinal) && value is ['[', .., ']'] => Plain(value[1..^1], isOfItem: true),
        _ => Plain(value),
    };

    /// <summary>Whether the text matches.</summary>
    public bool Covers(string text) =>
        Exact is { } exact ? text == exact
        : Prefix is { } prefix ? text.StartsWith(prefix, StringComparison.Ordinal)
        : Suffix is { } suffix ? text.EndsWith(suffix, StringComparison.Ordinal)
        : _compiled.Value?.IsMatch(text) == true;

    /// <summary>One <c>*</c>, at the beginning or else at the end.</summary>
    private static RulePattern Plain(string value, bool isOfItem = false) =>
        value == "*" ? new(["", ""], [Something], isOfItem)
        : value.StartsWith('*') ? new(["", value[1..]], [Everything], isOfItem)
        : value.EndsWith('*') ? new([value[..^1], ""], [Everything], isOfItem)
        : new([value], [], isOfItem);

    private static RulePattern Split(string value, string wildcard)
    {
        var texts = value.Split('*');
        return new([.. texts], [.. Enumerable.Repeat(wildcard, texts.Length - 1)]);
    }

    /// <summary><c>{*}</c> stands for one segment of a path, <c>{**}</c> for the rest.</summary>
    private static RulePattern Template(string value)
    {
        var (texts, wildcards) = (new List<string>(), new List<string>());
        foreach (var part in value.Split("{**}"))
        {
            if (texts.Count > 0) wildcards.Add(Everything);
            var segments = part.Split("{*}");
            texts.AddRange(segments);
            wildcards.AddRange(Enumerable.Repeat(Segment, segments.Length - 1));
        }
        return new([.. texts], [.. wildcards]);
    }
}
