namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>
/// Reads the part of CEL that rules of definitions mostly use: fields, indexes, operators, <c>has</c>, <c>size</c>, the functions of texts,
/// and the loops <c>all</c>, <c>exists</c>, <c>exists_one</c>, <c>map</c> and <c>filter</c>.
/// </summary>
internal sealed class CelParser
{
    private const int MaxDepth = 100;

    private static readonly string[][] Levels = [["||"], ["&&"], ["==", "!=", "<", "<=", ">", ">=", "in"], ["+", "-"], ["*", "/", "%"]];
    private static readonly string[] Loops = ["all", "exists", "exists_one", "map", "filter"];

    private readonly List<CelToken> _tokens;
    private int _at;
    private int _depth;

    private CelParser(List<CelToken> tokens) => _tokens = tokens;

    private CelToken Next => _tokens[_at];

    /// <exception cref="CelUnsupportedException">Not CEL, or beyond what is evaluated here.</exception>
    public static CelNode Parse(string text)
    {
        var parser = new CelParser(CelTokens.Read(text));
        var node = parser.Conditional();
        return parser.Next.Kind == CelTokenKind.End ? node : throw parser.Unexpected();
    }

    private CelNode Conditional()
    {
        if (++_depth > MaxDepth) throw new CelUnsupportedException("an expression nested this deep");
        var test = Binary(0);
        if (Take("?"))
        {
            var then = Conditional();
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
        while (Levels[level].Contains(Next.Text) && Next.Kind is CelTokenKind.Sign or CelTokenKind.Name)
        {
            var op = _tokens[_at++].Text;
            left = new CelBinary(op, left, Binary(level + 1));
        }
        return left;
    }

    private CelNode Unary()
    {
        if (++_depth > MaxDepth) throw new CelUnsupportedException("an expression nested this deep");
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
                node = new CelIndex(node, Conditional());
                Expect("]");
            }
            else if (Take("."))
            {
                var name = Name();
                node = Take("(") ? Call(node, name) : new CelField(node, CelField.Unescape(name));
            }
            else
            {
                return node;
            }
        }
    }

    private CelNode Call(CelNode on, string name)
    {
        if (!Loops.Contains(name)) return CelCall.Of(name, [on, .. Arguments()]);
        var variable = Name();
        Expect(",");
        var body = Conditional();
        Expect(")");
        return new CelLoop(name, on, variable, body);
    }

    private CelNode Primary()
    {
        var token = _tokens[_at];
        if (token.Kind is CelTokenKind.Text or CelTokenKind.Whole or CelTokenKind.Number)
        {
            _at++;
            return new CelLiteral(token.Value);
        }
        if (token.Kind == CelTokenKind.Name) return Named();
        if (Take("("))
        {
            var inner = Conditional();
            Expect(")");
            return inner;
        }
        return Take("[") ? new CelList(Items("]")) : throw Unexpected();
    }

    private CelNode Named()
    {
        var name = Name();
        if (!Take("("))
            return name switch
            {
                "true" => new CelLiteral(true),
                "false" => new CelLiteral(false),
                "null" => new CelLiteral(null),
                _ => new CelVariable(name),
            };
        var arguments = Arguments();
        if (name != "has") return CelCall.Of(name, arguments);
        return arguments is [CelField field] ? new CelHas(field) : throw new CelUnsupportedException("has() of anything but a field");
    }

    private List<CelNode> Arguments() => Items(")");

    private List<CelNode> Items(string end)
    {
        var items = new List<CelNode>();
        if (Take(end)) return items;
        do items.Add(Conditional());
        while (Take(","));
        Expect(end);
        return items;
    }

    private string Name() => Next.Kind == CelTokenKind.Name ? _tokens[_at++].Text : throw Unexpected();

    private bool Take(string sign)
    {
        if (Next.Kind != CelTokenKind.Sign || Next.Text != sign) return false;
        _at++;
        return true;
    }

    private void Expect(string sign)
    {
        if (!Take(sign)) throw Unexpected();
    }

    private CelUnsupportedException Unexpected() => new(Next.Kind == CelTokenKind.End ? "an expression that ends early" : $"'{Next.Text}' at token {_at}");
}
