using System.Globalization;
using System.Text;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>The functions of texts. Places in a text count characters, not the 16-bit units of .NET.</summary>
internal static class CelTexts
{
    /// <summary>No text that a function makes is longer.</summary>
    public const int MaxLength = 10_000_000;

    public static readonly CelFunctionSet All = new CelFunctionSet()
        .Add<string, string>("startsWith", (text, other) => text.StartsWith(other, StringComparison.Ordinal))
        .Add<string, string>("endsWith", (text, other) => text.EndsWith(other, StringComparison.Ordinal))
        .Add<string, string>("contains", (text, other) => text.Contains(other, StringComparison.Ordinal))
        .Add<string, string>("matches", (text, pattern) => Pattern(pattern).IsMatch(text))
        .Add<string, string>("find", (text, pattern) => Pattern(pattern).Match(text).Value)
        .Add<string, string>("findAll", (text, pattern) => FindAll(text, pattern, -1))
        .Add<string, string, long>("findAll", FindAll)
        .Add<string, string>("split", (text, separator) => Split(text, separator, -1))
        .Add<string, string, long>("split", Split)
        .Add<string>("lowerAscii", text => Ascii(text, char.ToLowerInvariant))
        .Add<string>("upperAscii", text => Ascii(text, char.ToUpperInvariant))
        .Add<string>("trim", text => text.Trim())
        .Add<string>("reverse", text => Join(Characters(text).AsEnumerable().Reverse()))
        .Add<string>("strings.quote", GoText.Quote)
        .Add<string, long>("charAt", CharacterAt)
        .Add<string, string>("indexOf", (text, other) => IndexOf(text, other, 0))
        .Add<string, string, long>("indexOf", IndexOf)
        .Add<string, string>("lastIndexOf", (text, other) => LastIndexOf(text, other, long.MaxValue))
        .Add<string, string, long>("lastIndexOf", (text, other, from) => from < 0 ? throw OutOfRange(from) : LastIndexOf(text, other, from))
        .Add<string, long>("substring", (text, from) => Substring(text, from, Characters(text).Length))
        .Add<string, long, long>("substring", Substring)
        .Add<string, string, string>("replace", (text, old, next) => Replace(text, old, next, -1))
        .Add("replace", 4,
            arguments => arguments is [string text, string old, string next, long most]
                ? Replace(text, old, next, most)
                : throw CelFailureException.NoOverload())
        .Add<List<object?>>("join", list => Join(Texts(list)))
        .Add<List<object?>, string>("join", (list, separator) => string.Join(separator, Texts(list)))
        .Add<string, List<object?>>("format", Format);

    private static System.Text.RegularExpressions.Regex Pattern(string pattern) =>
        GoPattern.Compile(pattern) ?? throw new CelFailureException($"the pattern {pattern} is not valid");

    private static List<object?> FindAll(string text, string pattern, long most) =>
        [.. Pattern(pattern).Matches(text).Take(most < 0 ? int.MaxValue : (int)Math.Min(most, int.MaxValue)).Select(match => match.Value)];

    private static List<object?> Split(string text, string separator, long most)
    {
        if (most == 0) return [];
        var parts = separator.Length == 0 ? Characters(text) : text.Split(separator);
        if (most < 0 || parts.Length <= most) return [.. parts];
        return [.. parts[..(int)(most - 1)], string.Join(separator, parts[(int)(most - 1)..])];
    }

    private static string Ascii(string text, Func<char, char> change) => string.Create(text.Length, text, (span, source) =>
    {
        for (var i = 0; i < span.Length; i++) span[i] = char.IsAscii(source[i]) ? change(source[i]) : source[i];
    });

    private static string[] Characters(string text) => [.. text.EnumerateRunes().Select(rune => rune.ToString())];

    private static object CharacterAt(string text, long at)
    {
        var characters = Characters(text);
        return at < 0 || at > characters.Length ? throw OutOfRange(at) : at == characters.Length ? "" : characters[at];
    }

    private static object IndexOf(string text, string other, long from)
    {
        var start = Offset(text, from);
        var found = text.IndexOf(other, start, StringComparison.Ordinal);
        return found < 0 ? -1L : CelConversions.Size(text[..found]);
    }

    private static object LastIndexOf(string text, string other, long from)
    {
        var found = -1L;
        for (var at = text.IndexOf(other, StringComparison.Ordinal); at >= 0; at = at == text.Length
            ? -1
            : text.IndexOf(other, at + 1, StringComparison.Ordinal))
        {
            var place = CelConversions.Size(text[..at]);
            if (place > from) break;
            found = place;
        }
        return found;
    }

    private static object Substring(string text, long from, long to)
    {
        if (from > to) throw new CelFailureException($"invalid substring range. start: {from}, end: {to}");
        var (start, end) = (Offset(text, from), Offset(text, to));
        return text[start..end];
    }

    /// <summary>Where a character begins among the units of .NET.</summary>
    private static int Offset(string text, long characters)
    {
        if (characters < 0) throw OutOfRange(characters);
        var (at, left) = (0, characters);
        foreach (var rune in text.EnumerateRunes())
        {
            if (left-- == 0) return at;
            at += rune.Utf16SequenceLength;
        }
        return left == 0 ? at : throw OutOfRange(characters);
    }

    private static string Replace(string text, string old, string next, long most)
    {
        if (most == 0) return text;
        var parts = old.Length == 0 ? ["", .. Characters(text), ""] : text.Split(old);
        if (most > 0 && parts.Length - 1 > most) parts = [.. parts[..(int)most], string.Join(old, parts[(int)most..])];
        if (text.Length + ((long)parts.Length * next.Length) > MaxLength) throw CelFailureException.TooMuchWork();
        return string.Join(next, parts);
    }

    private static IEnumerable<string> Texts(List<object?> list) => list.Select(item => item as string ?? throw CelFailureException.NoOverload());

    private static string Join(IEnumerable<string> texts) => string.Concat(texts);

    private static string Format(string format, List<object?> values)
    {
        var text = new StringBuilder();
        var (next, at) = (0, 0);
        while (at < format.Length)
        {
            if (format[at] != '%')
            {
                text.Append(format[at++]);
                continue;
            }
            var end = at + 1;
            while (end < format.Length && (char.IsAsciiDigit(format[end]) || format[end] == '.')) end++;
            if (end == format.Length) throw new CelFailureException("unexpected end of string");
            if (format[end] == '%') text.Append('%');
            else if (next == values.Count) throw new CelFailureException($"index {next} out of range");
            else text.Append(Formatted(values[next++], format[end], format[(at + 1)..end].TrimStart('.')));
            if (text.Length > MaxLength) throw CelFailureException.TooMuchWork();
            at = end + 1;
        }
        return text.ToString();
    }

    private static string Formatted(object? value, char verb, string precision)
    {
        var digits = int.TryParse(precision, NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? Math.Min(given, 100) : 6;
        return (verb, value) switch
        {
            ('s', null) => "null",
            ('s', List<object?> list) => $"[{string.Join(", ", list.Select(item => Formatted(item, 's', "")))}]",
            ('s', _) => CelConversions.Print(value),
            ('d', long whole) => whole.ToString(CultureInfo.InvariantCulture),
            ('f', double or long) => Convert.ToDouble(value, CultureInfo.InvariantCulture).ToString($"F{digits}", CultureInfo.InvariantCulture),
            ('e', double or long) => Convert.ToDouble(value, CultureInfo.InvariantCulture)
                .ToString($"0.{new string('0', digits)}e+00", CultureInfo.InvariantCulture),
            ('b', bool truth) => truth ? "1" : "0",
            ('b', long whole) => whole.ToString("b", CultureInfo.InvariantCulture),
            ('o', long whole) => Convert.ToString(whole, 8),
            ('x', long whole) => whole.ToString("x", CultureInfo.InvariantCulture),
            ('X', long whole) => whole.ToString("X", CultureInfo.InvariantCulture),
            ('x', string text) => Convert.ToHexStringLower(Encoding.UTF8.GetBytes(text)),
            ('X', string text) => Convert.ToHexString(Encoding.UTF8.GetBytes(text)),
            _ => throw new CelFailureException($"could not format the value with %{verb}"),
        };
    }

    private static CelFailureException OutOfRange(long at) => new($"index out of range: {at}");
}
