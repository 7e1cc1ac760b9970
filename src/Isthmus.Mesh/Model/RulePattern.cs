using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;

namespace Isthmus.Mesh.Model;

/// <summary>What a value of a <see cref="RuleTerm"/> is compared with: texts, and wildcards between them. Which <c>*</c> is a wildcard depends on the
/// attribute; any other one is a character.</summary>
/// <param name="Texts">One more than there are wildcards.</param>
/// <param name="Wildcards">The regular expression of each.</param>
public sealed record RulePattern(ValueList<string> Texts, ValueList<string> Wildcards)
{
    private const string Everything = ".*", Something = ".+", NoSlash = "[^/]*", Segment = "[^/]+";

    /// <summary>The value is in brackets: one item of a list has to match.</summary>
    public bool IsOfItem { get; init; }

    /// <summary>Any text, but not none.</summary>
    public bool IsAnything => Wildcards is [Something];

    /// <summary>The text that it is; null: it has wildcards.</summary>
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
        _ when key.StartsWith(RuleKeys.Metadata, StringComparison.Ordinal) && value is ['[', .., ']'] => Plain(value[1..^1]) with { IsOfItem = true },
        _ => Plain(value),
    };

    /// <summary>Whether the text matches. Proxies do not use regular expressions that are too long: they match nothing.</summary>
    public bool Covers(string text) =>
        Exact is { } exact ? text == exact
        : Prefix is { } prefix ? text.StartsWith(prefix, StringComparison.Ordinal)
        : Suffix is { } suffix ? text.EndsWith(suffix, StringComparison.Ordinal)
        : Regex is { Length: <= LinearRegex.Longest } regex && LinearRegex.Compile(regex, whole: true).IsMatch(text);

    /// <summary>One <c>*</c>, at the beginning or else at the end.</summary>
    private static RulePattern Plain(string value) =>
        value == "*" ? new(["", ""], [Something])
        : value.StartsWith('*') ? new(["", value[1..]], [Everything])
        : value.EndsWith('*') ? new([value[..^1], ""], [Everything])
        : new([value], []);

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
