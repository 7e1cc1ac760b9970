using System.Globalization;
using System.Text;

namespace Isthmus.Lab.ApiServer.CustomResources;

internal enum CelTokenKind
{
    Name,
    Text,
    Whole,
    Number,
    Sign,
    End,
}

/// <param name="Value">The literal's value; for names and signs their text.</param>
internal readonly record struct CelToken(CelTokenKind Kind, string Text, object? Value = null);

/// <summary>The rule uses something that is not evaluated here, or is no CEL at all.</summary>
internal sealed class CelUnsupportedException(string message) : Exception(message);

/// <summary>Splits a CEL expression into tokens.</summary>
internal static class CelTokens
{
    private static readonly string[] Signs = ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}"];

    /// <exception cref="CelUnsupportedException">A character that begins no token, or a literal without end.</exception>
    public static List<CelToken> Read(string text)
    {
        var tokens = new List<CelToken>();
        for (var at = 0; at < text.Length;)
        {
            var c = text[at];
            if (char.IsWhiteSpace(c)) at++;
            else if (char.IsAsciiLetter(c) || c == '_') tokens.Add(Name(text, ref at));
            else if (char.IsAsciiDigit(c)) tokens.Add(Number(text, ref at));
            else if (c is '"' or '\'') tokens.Add(new(CelTokenKind.Text, "", Literal(text, ref at, raw: false)));
            else tokens.Add(Sign(text, ref at));
        }
        tokens.Add(new(CelTokenKind.End, ""));
        return tokens;
    }

    private static CelToken Name(string text, ref int at)
    {
        if (text[at] is 'r' or 'R' && at + 1 < text.Length && text[at + 1] is '"' or '\'')
        {
            at++;
            return new(CelTokenKind.Text, "", Literal(text, ref at, raw: true));
        }
        var start = at;
        while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] == '_')) at++;
        return new(CelTokenKind.Name, text[start..at]);
    }

    private static CelToken Number(string text, ref int at)
    {
        var start = at;
        while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
        var isWhole = true;
        if (at + 1 < text.Length && text[at] == '.' && char.IsAsciiDigit(text[at + 1]))
        {
            isWhole = false;
            at++;
            while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
        }
        var digits = text[start..at];
        if (at < text.Length && text[at] is 'u' or 'U') at++;
        if (isWhole && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var whole)) return new(CelTokenKind.Whole, digits, whole);
        return double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            ? new(CelTokenKind.Number, digits, number)
            : throw new CelUnsupportedException($"the number {digits}");
    }

    private static string Literal(string text, ref int at, bool raw)
    {
        var quote = text[at++];
        if (at + 1 < text.Length && text[at] == quote && text[at + 1] == quote) throw new CelUnsupportedException("texts in triple quotes");
        var value = new StringBuilder();
        while (at < text.Length && text[at] != quote)
        {
            var c = text[at++];
            if (c == '\\' && !raw && at < text.Length) value.Append(Escape(text[at++]));
            else value.Append(c);
        }
        if (at++ >= text.Length) throw new CelUnsupportedException("a text without end");
        return value.ToString();
    }

    private static char Escape(char c) => c switch
    {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '\\' or '"' or '\'' or '`' or '?' => c,
        _ => throw new CelUnsupportedException($"the escape \\{c}"),
    };

    private static CelToken Sign(string text, ref int at)
    {
        foreach (var sign in Signs)
            if (string.CompareOrdinal(text, at, sign, 0, sign.Length) == 0)
            {
                at += sign.Length;
                return new(CelTokenKind.Sign, sign);
            }
        throw new CelUnsupportedException($"the character {text[at]}");
    }
}
