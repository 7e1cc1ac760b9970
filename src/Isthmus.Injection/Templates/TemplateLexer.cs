using System.Text;
using Isthmus.Core.Problems;

namespace Isthmus.Injection.Templates;

internal enum TokenKind
{
    Text, Open, Close, Field, Dot, Variable, Word, String, Number, Pipe, Declare, Assign, Comma, Left, Right, End,
}

/// <param name="Glued">Whether nothing separates it from the token before: <c>(x).A</c> is a field, <c>(x) .A</c> are two arguments.</param>
internal readonly record struct Token(TokenKind Kind, string Text, int Line, bool Glued);

/// <summary>Splits a template into tokens (Go's text/template: https://pkg.go.dev/text/template).</summary>
internal sealed class TemplateLexer(string name, string text)
{
    private readonly List<Token> _tokens = [];
    private int _at, _line = 1;
    private bool _glued;

    internal List<Token> Read()
    {
        var trims = false;
        while (true)
        {
            var open = text.IndexOf("{{", _at, StringComparison.Ordinal);
            var literal = open < 0 ? text[_at..] : text[_at..open];
            var kept = trims ? literal.TrimStart(Blanks) : literal;
            var trimsBefore = open >= 0 && open + 3 < text.Length && text[open + 2] == '-' && Blanks.Contains(text[open + 3]);
            if (trimsBefore) kept = kept.TrimEnd(Blanks);
            if (kept.Length > 0) Add(TokenKind.Text, kept);
            _line += literal.Count(c => c == '\n');
            if (open < 0) break;
            _at = open + (trimsBefore ? 3 : 2);
            trims = ReadAction();
        }
        Add(TokenKind.End, "");
        return _tokens;
    }

    private static readonly char[] Blanks = [' ', '\t', '\r', '\n'];

    /// <summary>Reads up to the end of an action.</summary>
    /// <returns>Whether the blanks after it are removed.</returns>
    private bool ReadAction()
    {
        if (SkipsBlanksTo("/*")) return SkipComment();
        Add(TokenKind.Open, "");
        _glued = false;
        while (_at < text.Length)
        {
            var c = text[_at];
            if (Blanks.Contains(c))
            {
                if (c is not '\n' && IsNext($"{c}-}}}}")) { _at += 4; Add(TokenKind.Close, ""); return true; }
                if (c == '\n')
                {
                    if (IsNext("\n-}}")) { _at += 4; Add(TokenKind.Close, ""); _line++; return true; }
                    _line++;
                }
                _at++;
                _glued = false;
                continue;
            }
            if (IsNext("}}")) { _at += 2; Add(TokenKind.Close, ""); return false; }
            ReadToken(c);
            _glued = true;
        }
        throw Fault("an action has no '}}'");
    }

    private bool SkipsBlanksTo(string what)
    {
        var at = _at;
        while (at < text.Length && Blanks.Contains(text[at])) at++;
        if (string.CompareOrdinal(text, at, what, 0, what.Length) != 0) return false;
        _at = at;
        return true;
    }

    private bool SkipComment()
    {
        var end = text.IndexOf("*/", _at, StringComparison.Ordinal);
        if (end < 0) throw Fault("a comment has no '*/'");
        _line += text.AsSpan(_at, end - _at).Count('\n');
        _at = end + 2;
        if (IsNext("}}")) { _at += 2; return false; }
        if (IsNext(" -}}") || IsNext("\n-}}")) { _at += 4; return true; }
        throw Fault("a comment must end with '*/}}'");
    }

    private void ReadToken(char c)
    {
        switch (c)
        {
            case '|': Take(TokenKind.Pipe, 1); break;
            case '(': Take(TokenKind.Left, 1); break;
            case ')': Take(TokenKind.Right, 1); break;
            case ',': Take(TokenKind.Comma, 1); break;
            case '=': Take(TokenKind.Assign, 1); break;
            case ':' when IsNext(":="): Take(TokenKind.Declare, 2); break;
            case '"': ReadQuoted(); break;
            case '`': ReadRaw(); break;
            case '.' when _at + 1 < text.Length && IsLetter(text[_at + 1]): ReadName(TokenKind.Field, 1); break;
            case '.' when _at + 1 >= text.Length || !char.IsAsciiDigit(text[_at + 1]): Take(TokenKind.Dot, 1); break;
            case '$': ReadName(TokenKind.Variable, 1); break;
            case '+' or '-' or '.': ReadNumber(); break;
            default:
                if (char.IsAsciiDigit(c)) ReadNumber();
                else if (IsLetter(c)) ReadName(TokenKind.Word, 0);
                else throw Fault($"unexpected character '{Shown(c)}'");
                break;
        }
    }

    private static string Shown(char c) => char.IsControl(c) ? $"\\u{(int)c:x4}" : c.ToString();

    private void Take(TokenKind kind, int length)
    {
        Add(kind, text.Substring(_at, length));
        _at += length;
    }

    private void ReadName(TokenKind kind, int prefix)
    {
        var end = _at + prefix;
        while (end < text.Length && (IsLetter(text[end]) || char.IsAsciiDigit(text[end]))) end++;
        Add(kind, text[(_at + prefix)..end]);
        _at = end;
    }

    private void ReadNumber()
    {
        var end = _at + 1;
        while (end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] is '.' or '_')) end++;
        Add(TokenKind.Number, text[_at..end]);
        _at = end;
    }

    private void ReadRaw()
    {
        var end = text.IndexOf('`', _at + 1);
        if (end < 0) throw Fault("a raw string has no second '`'");
        Add(TokenKind.String, text[(_at + 1)..end]);
        _line += text.AsSpan(_at, end - _at).Count('\n');
        _at = end + 1;
    }

    private void ReadQuoted()
    {
        var value = new StringBuilder();
        for (var i = _at + 1; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '"':
                    Add(TokenKind.String, value.ToString());
                    _at = i + 1;
                    return;
                case '\n': throw Fault("a string has no second '\"'");
                case '\\' when i + 1 < text.Length:
                    value.Append(text[++i] switch
                    {
                        'n' => '\n', 't' => '\t', 'r' => '\r', '\\' => '\\', '"' => '"', '\'' => '\'',
                        var other => throw Fault($"the escape '\\{other}' is not supported in a string; use a raw string (`…`)"),
                    });
                    break;
                default: value.Append(text[i]); break;
            }
        }
        throw Fault("a string has no second '\"'");
    }

    private static bool IsLetter(char c) => char.IsLetter(c) || c == '_';

    private bool IsNext(string what) => string.CompareOrdinal(text, _at, what, 0, what.Length) == 0;

    private void Add(TokenKind kind, string value) => _tokens.Add(new(kind, value, _line, _glued));

    private ProblemException Fault(string reason) => GoTemplate.Fault(name, _line, reason);
}
