namespace Isthmus.Wire.Cel;

/// <summary>Parses CEL. Byte texts, optional entries of lists and maps, and objects of named types are recognized, but are not part of the tree.</summary>
/// <remarks>Expressions are not type-checked.</remarks>
public sealed class CelParser
{
    private const int MaxDepth = 100;
    private const string Expression = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

    private static readonly string[][] Levels = [["||"], ["&&"], ["==", "!=", "<", "<=", ">", ">=", "in"], ["+", "-"], ["*", "/", "%"]];
    private static readonly string[] Loops = ["all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap"];
    private static readonly string[] Words = ["true", "false", "null", "in"];

    private static readonly string[] Reserved =
        ["as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void",
            "while"];

    private readonly string _text;
    private readonly List<CelToken> _tokens;
    private int _at;
    private int _depth;
    private string? _unsupported;

    private readonly Func<string, int, bool> _knows;

    private CelParser(string text, Func<string, int, bool> knows) => (_text, _tokens, _knows) = (text, CelTokens.Read(text), knows);

    private CelToken Next => _tokens[_at];

    /// <param name="text">The expression.</param>
    /// <param name="knows">Whether there is a function with that name and number of arguments; the receiver of a call is its first argument.</param>
    /// <exception cref="CelSyntaxException">The text is not CEL.</exception>
    /// <exception cref="CelUnsupportedException">The expression uses something that the tree does not have.</exception>
    public static CelNode Parse(string text, Func<string, int, bool> knows)
    {
        var parser = new CelParser(text, knows);
        var node = parser.Conditional();
        if (parser.Next.Kind != CelTokenKind.End) throw parser.Unexpected("<EOF>");
        return parser._unsupported is { } why ? throw new CelUnsupportedException(why) : node;
    }

    /// <summary>Why a text is not CEL; null if it is.</summary>
    public static string? Problem(string text)
    {
        try
        {
            Parse(text, static (_, _) => true);
            return null;
        }
        catch (CelSyntaxException e)
        {
            return e.Message;
        }
        catch (CelUnsupportedException)
        {
            return null;
        }
    }

    private CelNode Conditional()
    {
        Enter();
        var test = Binary(0);
        if (Take("?"))
        {
            var then = Binary(0);
            Expect(":");
            test = new CelChoice(test, then, Conditional());
        }
        _depth--;
        return test;
    }

    private CelNode Binary(int level)
    {
        if (level == Levels.Length) return Unary();
        var left = Binary(level + 1);
        while (Next.Kind is CelTokenKind.Sign or CelTokenKind.Name && Levels[level].Contains(Next.Text))
        {
            var op = _tokens[_at++].Text;
            left = new CelBinary(op, left, Binary(level + 1));
        }
        return left;
    }

    private CelNode Unary()
    {
        Enter();
        var node = Take("!") ? new CelNot(Unary()) : Take("-") ? new CelMinus(Unary()) : Member();
        _depth--;
        return node;
    }

    private CelNode Member()
    {
        var node = Primary();
        while (true)
        {
            if (Take("["))
            {
                var isOptional = Take("?");
                var key = Conditional();
                node = isOptional ? new CelOptional(node, key) : new CelIndex(node, key);
                Expect("]");
            }
            else if (Take("."))
            {
                var isOptional = Take("?");
                var name = Name();
                node = isOptional
                    ? new CelOptional(node, new CelLiteral(CelField.Unescape(name)))
                    : Take("(")
                    ? Call(node, name)
                    : new CelField(node, CelField.Unescape(name));
            }
            else if (IsTypeName(node) && Take("{"))
            {
                Fields();
            }
            else
            {
                return node;
            }
        }
    }

    private CelNode Call(CelNode on, string name)
    {
        var start = Next.At;
        var arguments = Items(")");
        if (!Loops.Contains(name))
            return on is CelVariable library && _knows($"{library.Name}.{name}", arguments.Count)
                ? new CelCall($"{library.Name}.{name}", arguments)
                : Function(name, [on, .. arguments]);
        return (name, arguments.Count) switch
        {
            ("map", 3) => new CelLoop(name, new CelLoop("filter", on, Variable(0), arguments[1]), Variable(0), arguments[2]),
            ("all" or "exists" or "existsOne" or "transformList" or "transformMap",
                3) => new CelPairLoop(name, on, Variable(0), Variable(1), null, arguments[2]),
            ("exists_one", 3) => new CelPairLoop("existsOne", on, Variable(0), Variable(1), null, arguments[2]),
            ("transformList" or "transformMap", 4) => new CelPairLoop(name, on, Variable(0), Variable(1), arguments[2], arguments[3]),
            ("existsOne", 2) => new CelLoop("exists_one", on, Variable(0), arguments[1]),
            (not ("transformList" or "transformMap"), 2) => new CelLoop(name, on, Variable(0), arguments[1]),
            _ => Unsupported($"{name} with {arguments.Count} arguments", on),
        };

        string Variable(int at) =>
            arguments[at] is CelVariable variable ? variable.Name : throw new CelSyntaxException(_text, start, "argument must be a simple name");
    }

    private CelNode Primary()
    {
        var token = Next;
        switch (token.Kind)
        {
            case CelTokenKind.Text or CelTokenKind.Whole or CelTokenKind.Number:
                _at++;
                return new CelLiteral(token.Value);
            case CelTokenKind.Bytes:
                _at++;
                return Unsupported("bytes", new CelLiteral(token.Value));
            case CelTokenKind.Name:
                return Named();
        }
        if (Take("("))
        {
            var inner = Conditional();
            Expect(")");
            return inner;
        }
        if (Take("[")) return new CelList(Items("]", mayEndWithComma: true));
        if (Take("{")) return Map();
        if (!Take(".")) throw Unexpected(Expression);
        // A leading dot asks for the name outside all loops.
        return Unsupported("a name with a leading dot", Next.Kind == CelTokenKind.Name ? Named() : throw Unexpected("IDENTIFIER"));
    }

    private CelNode Named()
    {
        var token = _tokens[_at++];
        switch (token.Text)
        {
            case "true": return new CelLiteral(true);
            case "false": return new CelLiteral(false);
            case "null": return new CelLiteral(null);
            case "in":
                _at--;
                throw Unexpected(Expression);
        }
        if (Reserved.Contains(token.Text)) throw new CelSyntaxException(_text, token.At, $"reserved identifier: {token.Text}");
        if (!Take("(")) return new CelVariable(token.Text);
        var start = Next.At;
        var arguments = Items(")");
        if (token.Text != "has" || arguments.Count != 1) return Function(token.Text, arguments);
        return arguments[0] is CelField field ? new CelHas(field) : throw new CelSyntaxException(_text, start, "invalid argument to has() macro");
    }

    private CelNode Function(string name, List<CelNode> arguments) =>
        _knows(name, arguments.Count) ? new CelCall(name, arguments) : Unsupported($"the function {name}", new CelList(arguments));

    private List<CelNode> Items(string end, bool mayEndWithComma = false)
    {
        var items = new List<CelNode>();
        if (mayEndWithComma && Take(",")) Expect(end);
        else if (!Take(end))
        {
            do
            {
                if (mayEndWithComma && items.Count > 0 && Next.Kind == CelTokenKind.Sign && Next.Text == end) break;
                if (mayEndWithComma) Optional();
                items.Add(Conditional());
            }
            while (Take(","));
            Expect(end);
        }
        return items;
    }

    private CelNode Map()
    {
        var entries = new List<(CelNode Key, CelNode Value)>();
        while (!Take("}"))
        {
            Optional();
            var key = Conditional();
            Expect(":");
            entries.Add((key, Conditional()));
            if (Take(",")) continue;
            Expect("}");
            break;
        }
        return new CelMap(entries);
    }

    private void Fields()
    {
        Unsupported("an object of a named type", new CelLiteral(null));
        while (!Take("}"))
        {
            Optional();
            Name();
            Expect(":");
            Conditional();
            if (Take(",")) continue;
            Expect("}");
            break;
        }
    }

    private static bool IsTypeName(CelNode node) => node is CelVariable || (node is CelField field && IsTypeName(field.On));

    private void Optional()
    {
        if (Take("?")) Unsupported("optional values", new CelLiteral(null));
    }

    /// <summary>Goes on parsing, so that mistakes further on are found.</summary>
    private CelNode Unsupported(string what, CelNode node)
    {
        _unsupported ??= what;
        return node;
    }

    private void Enter()
    {
        if (++_depth > MaxDepth) throw new CelUnsupportedException("an expression nested this deep");
    }

    private string Name() => Next.Kind == CelTokenKind.Name && !Words.Contains(Next.Text) ? _tokens[_at++].Text : throw Unexpected("IDENTIFIER");

    private bool Take(string sign)
    {
        if (Next.Kind != CelTokenKind.Sign || Next.Text != sign) return false;
        _at++;
        return true;
    }

    private void Expect(string sign)
    {
        if (!Take(sign)) throw Unexpected($"'{sign}'");
    }

    private CelSyntaxException Unexpected(string expected)
    {
        // Without this one token, the expression would be complete.
        var extraneous = expected == "<EOF>" && _tokens[_at + 1].Kind == CelTokenKind.End;
        return new(_text, Next.At, $"Syntax error: {(extraneous ? "extraneous" : "mismatched")} input '{Next.Text}' expecting {expected}");
    }
}
