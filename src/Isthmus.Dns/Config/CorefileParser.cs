using System.Text;
using Isthmus.Core.Collections;

namespace Isthmus.Dns.Config;

/// <summary>One line of a server block: a plugin's name, its arguments, and the lines inside its braces.</summary>
/// <param name="Line">Its line number, from 1.</param>
public sealed record Directive(string Name, ValueList<string> Arguments, ValueList<Directive> Block, int Line);

/// <summary>Zones with their plugins, as written.</summary>
public sealed record ServerBlock(ValueList<string> Keys, ValueList<Directive> Directives, int Line);

/// <summary>A Corefile that cannot be used: what, where and why.</summary>
public sealed class CorefileException(string source, int line, string message) : Exception($"{source}:{line}: {message}")
{
    public int Line { get; } = line;
}

/// <summary>Reads the syntax of a Corefile: words, quotes, braces, comments, <c>{$NAME}</c> of the environment and snippets.</summary>
public sealed class CorefileParser
{
    private const int MaxLength = 1024 * 1024;
    private const int MaxDepth = 8;

    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private readonly Dictionary<string, ValueList<Directive>> _snippets = new(StringComparer.Ordinal);
    private int _at;

    private readonly record struct Token(string Text, int Line, bool FirstOfLine, bool Quoted);

    private CorefileParser(string text, string source, Func<string, string?> environment)
    {
        _source = source;
        if (text.Length > MaxLength) throw Wrong(1, $"the file is longer than {MaxLength} characters");
        Split(Substitute(text, environment));
    }

    /// <exception cref="CorefileException">The text is not a Corefile.</exception>
    public static ValueList<ServerBlock> Parse(string text, string source, Func<string, string?> environment) =>
        new CorefileParser(text, source, environment).Blocks();

    private ValueList<ServerBlock> Blocks()
    {
        var blocks = new List<ServerBlock>();
        while (_at < _tokens.Count)
        {
            var line = _tokens[_at].Line;
            var keys = new List<string>();
            while (_at < _tokens.Count && !IsBrace("{"))
            {
                // Keys may be separated by commas and span several lines.
                var key = _tokens[_at++];
                if (key is { Text: "}", Quoted: false }) throw Wrong(key.Line, "'}' closes nothing");
                keys.AddRange(key.Text.Split(',', StringSplitOptions.RemoveEmptyEntries));
            }
            if (_at == _tokens.Count) throw Wrong(line, keys.Count == 0 ? "a block has no name" : $"'{keys[0]}' is not followed by '{{'");
            if (keys.Count == 0) throw Wrong(line, "'{' has no zone in front of it");
            _at++;
            var directives = Directives(line, 1);
            if (keys is [['(', .. var name, ')']]) _snippets[name] = directives;
            else blocks.Add(new([.. keys], directives, line));
        }
        if (blocks.Count == 0) throw Wrong(1, "there is no server block, such as '.:53 { … }'");
        return [.. blocks];
    }

    private ValueList<Directive> Directives(int opened, int depth)
    {
        if (depth > MaxDepth) throw Wrong(opened, $"blocks are nested deeper than {MaxDepth}");
        var directives = new List<Directive>();
        while (true)
        {
            if (_at == _tokens.Count) throw Wrong(opened, "'{' is never closed");
            if (IsBrace("}"))
            {
                _at++;
                return [.. directives];
            }
            var first = _tokens[_at++];
            if (first is { Text: "{", Quoted: false }) throw Wrong(first.Line, "'{' has no name in front of it");
            var arguments = new List<string>();
            ValueList<Directive> block = [];
            while (_at < _tokens.Count && !_tokens[_at].FirstOfLine && !IsBrace("}"))
            {
                if (IsBrace("{"))
                {
                    _at++;
                    block = Directives(first.Line, depth + 1);
                    break;
                }
                arguments.Add(_tokens[_at++].Text);
            }
            if (first.Text == "import") directives.AddRange(Import(first.Line, arguments));
            else directives.Add(new(first.Text, [.. arguments], block, first.Line));
        }
    }

    private ValueList<Directive> Import(int line, List<string> arguments)
    {
        if (arguments.Count != 1) throw Wrong(line, "import takes the name of one snippet");
        return _snippets.TryGetValue(arguments[0], out var snippet) ? snippet
            : throw Wrong(line, $"import: there is no snippet '({arguments[0]})' above (files are not imported)");
    }

    private bool IsBrace(string brace) => _tokens[_at].Text == brace && !_tokens[_at].Quoted;

    private static string Substitute(string text, Func<string, string?> environment)
    {
        var made = new StringBuilder(text.Length);
        var at = 0;
        while (text.IndexOf("{$", at, StringComparison.Ordinal) is var start and >= 0)
        {
            var end = text.IndexOf('}', start);
            if (end < 0 || text.AsSpan(start, end - start).ContainsAny(' ', '\n')) break;
            made.Append(text, at, start - at).Append(environment(text[(start + 2)..end]) ?? "");
            at = end + 1;
        }
        return made.Append(text, at, text.Length - at).ToString();
    }

    private void Split(string text)
    {
        var (line, first) = (1, true);
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '\n':
                    line++;
                    first = true;
                    continue;
                case ' ' or '\t' or '\r' or '\ufeff':
                    continue;
                case '#':
                    while (i + 1 < text.Length && text[i + 1] != '\n') i++;
                    continue;
                case '"' or '`':
                    var (quoted, lines) = Quoted(text, ref i, line);
                    _tokens.Add(new(quoted, line, first, true));
                    line += lines;
                    break;
                default:
                    var start = i;
                    while (i + 1 < text.Length && text[i + 1] is not (' ' or '\t' or '\r' or '\n')) i++;
                    _tokens.Add(new(text[start..(i + 1)], line, first, false));
                    break;
            }
            first = false;
        }
    }

    private (string Text, int Lines) Quoted(string text, ref int i, int line)
    {
        var quote = text[i];
        var made = new StringBuilder();
        var lines = 0;
        for (i++; i < text.Length; i++)
        {
            if (text[i] == quote) return (made.ToString(), lines);
            if (text[i] == '\\' && quote == '"' && i + 1 < text.Length && text[i + 1] == '"') i++;
            if (text[i] == '\n') lines++;
            made.Append(text[i]);
        }
        throw Wrong(line, $"the quote {quote} is never closed");
    }

    private CorefileException Wrong(int line, string message) => new(_source, line, message);
}
