using System.Globalization;
using System.Text;

namespace Isthmus.Wire.Cel;

/// <summary>What a token is.</summary>
public enum CelTokenKind
{
    Name,
    Text,
    Bytes,
    Whole,
    Number,
    Sign,
    End,
}

/// <summary>A token of an expression.</summary>
/// <param name="Text">The token as the expression has it.</param>
/// <param name="At">Where it begins in the expression.</param>
/// <param name="Value">The value of a literal.</param>
public readonly record struct CelToken(CelTokenKind Kind, string Text, int At, object? Value = null);

/// <summary>Splits a CEL expression into tokens.</summary>
public static class CelTokens
{
    private static readonly string[] Signs =
        ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}"];

    /// <exception cref="CelSyntaxException">A character that begins no token, or a text without an end.</exception>
    public static List<CelToken> Read(string text)
    {
        var tokens = new List<CelToken>();
        for (var at = 0; at < text.Length;)
        {
            if (text[at] is ' ' or '\t' or '\r' or '\n' or '\f')
            {
                at++;
                continue;
            }
            if (string.CompareOrdinal(text, at, "//", 0, 2) == 0)
            {
                var line = text.IndexOf('\n', at);
                at = line < 0 ? text.Length : line;
                continue;
            }
            var token = Next(text, at);
            tokens.Add(token);
            at += token.Text.Length;
        }
        tokens.Add(new(CelTokenKind.End, "<EOF>", text.Length));
        return tokens;
    }

    private static CelToken Next(string text, int at)
    {
        var c = text[at];
        if (PrefixOfText(text, at) is { } prefix) return Literal(text, at, prefix);
        if (char.IsAsciiLetter(c) || c == '_')
        {
            var end = at;
            while (end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] == '_')) end++;
            return new(CelTokenKind.Name, text[at..end], at);
        }
        if (char.IsAsciiDigit(c) || (c == '.' && IsDigit(text, at + 1))) return Number(text, at);
        foreach (var sign in Signs)
        {
            if (string.CompareOrdinal(text, at, sign, 0, sign.Length) == 0) return new(CelTokenKind.Sign, sign, at);
        }
        throw Unrecognized(text, at, at + 1);
    }

    private static CelToken Number(string text, int at)
    {
        var end = at;
        if (text[at] == '0' && at + 2 < text.Length && text[at + 1] is 'x' or 'X' && char.IsAsciiHexDigit(text[at + 2]))
        {
            end = at + 2;
            while (end < text.Length && char.IsAsciiHexDigit(text[end])) end++;
            return Whole(text, at, end, text[(at + 2)..end], NumberStyles.AllowHexSpecifier);
        }
        while (IsDigit(text, end)) end++;
        var isWhole = true;
        if (end < text.Length && text[end] == '.' && IsDigit(text, end + 1))
        {
            isWhole = false;
            end++;
            while (IsDigit(text, end)) end++;
        }
        if (end < text.Length && text[end] is 'e' or 'E')
        {
            var digits = end + 1 < text.Length && text[end + 1] is '+' or '-' ? end + 2 : end + 1;
            if (IsDigit(text, digits))
            {
                isWhole = false;
                for (end = digits; IsDigit(text, end);) end++;
            }
        }
        if (isWhole) return Whole(text, at, end, text[at..end], NumberStyles.None);
        return new(CelTokenKind.Number, text[at..end], at, double.Parse(text[at..end], NumberStyles.Float, CultureInfo.InvariantCulture));
    }

    private static CelToken Whole(string text, int at, int end, string digits, NumberStyles style)
    {
        // 9223372036854775808 does not fit, but with a minus sign before it, it is the smallest integer: a number so large is read as a
        // float.
        var value = long.TryParse(digits, style, CultureInfo.InvariantCulture, out var whole) && whole >= 0 ? (object)whole
            : style == NumberStyles.None ? double.Parse(digits, style, CultureInfo.InvariantCulture)
            : throw new CelSyntaxException(text, at, "invalid int literal");
        if (end < text.Length && text[end] is 'u' or 'U') end++;
        return new(CelTokenKind.Whole, text[at..end], at, value);
    }

    private static bool IsDigit(string text, int at) => at < text.Length && char.IsAsciiDigit(text[at]);

    /// <summary>What stands before the quote of a text (r for raw, b for bytes); null if no text begins here.</summary>
    private static string? PrefixOfText(string text, int at)
    {
        var quote = at;
        if (text[quote] is 'b' or 'B') quote++;
        if (quote < text.Length && text[quote] is 'r' or 'R') quote++;
        return quote < text.Length && text[quote] is '"' or '\'' ? text[at..quote] : null;
    }

    private static CelToken Literal(string text, int start, string prefix)
    {
        var raw = prefix.EndsWith('r') || prefix.EndsWith('R');
        var at = start + prefix.Length;
        var quote = text.Substring(at, at + 2 < text.Length && text[at + 1] == text[at] && text[at + 2] == text[at] ? 3 : 1);
        var value = new StringBuilder();
        for (at += quote.Length; at < text.Length && string.CompareOrdinal(text, at, quote, 0, quote.Length) != 0;)
        {
            if (quote.Length == 1 && text[at] is '\n' or '\r') throw Unrecognized(text, start, at);
            if (text[at] == '\\' && !raw) at = Escape(text, start, at + 1, value);
            else value.Append(text[at++]);
        }
        if (at >= text.Length) throw Unrecognized(text, start, at);
        at += quote.Length;
        return new(prefix is ['b' or 'B', ..] ? CelTokenKind.Bytes : CelTokenKind.Text, text[start..at], start, value.ToString());
    }

    /// <returns>The offset after the escape.</returns>
    private static int Escape(string text, int start, int at, StringBuilder value)
    {
        if (at >= text.Length) throw Unrecognized(text, start, at);
        var c = text[at];
        if (c is '\\' or '"' or '\'' or '`' or '?') value.Append(c);
        else if ("abfnrtv".IndexOf(c, StringComparison.Ordinal) is var known and >= 0) value.Append("\a\b\f\n\r\t\v"[known]);
        else
        {
            var digits = c switch { 'x' or 'X' => 2, 'u' => 4, 'U' => 8, >= '0' and <= '3' => 3, _ => throw Unrecognized(text, start, at + 1) };
            var from = digits == 3 ? at : at + 1;
            if (from + digits > text.Length || Code(text.AsSpan(from, digits), digits == 3 ? 8 : 16) is not { } code || !Rune.IsValid(code))
                throw Unrecognized(text, start, at + 1);
            value.Append(new Rune(code).ToString());
            return from + digits;
        }
        return at + 1;
    }

    private static int? Code(ReadOnlySpan<char> digits, int radix)
    {
        var code = 0L;
        foreach (var c in digits)
        {
            if (!char.IsAsciiHexDigit(c) || Convert.ToInt32(c.ToString(), 16) is var digit && digit >= radix) return null;
            code = (code * radix) + digit;
        }
        return code <= int.MaxValue ? (int)code : null;
    }

    private static CelSyntaxException Unrecognized(string text, int start, int end) =>
        new(text, start, $"Syntax error: token recognition error at: '{text[start..Math.Min(end, text.Length)]}'");
}
