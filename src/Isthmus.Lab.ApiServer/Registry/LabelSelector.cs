using System.Text;
using Isthmus.Lab.ApiServer.Errors;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>A label selector as text: `app in (a,b), version!=v1, !canary`.</summary>
public sealed class LabelSelector
{
    public static readonly LabelSelector Everything = new([]);
    private readonly List<Requirement> _requirements;

    private LabelSelector(List<Requirement> requirements) => _requirements = requirements;

    public bool IsEmpty => _requirements.Count == 0;

    public bool Matches(IReadOnlyDictionary<string, string> labels)
    {
        foreach (var requirement in _requirements)
            if (!requirement.Matches(labels)) return false;
        return true;
    }

    /// <exception cref="ApiException">400: the text is no selector.</exception>
    public static LabelSelector Parse(string? text) => string.IsNullOrWhiteSpace(text) ? Everything : new Parser(text).Read();

    private enum Operator
    {
        Exists,
        NotExists,
        In,
        NotIn,
        Greater,
        Less,
    }

    private sealed record Requirement(string Key, Operator Operator, HashSet<string> Values)
    {
        internal bool Matches(IReadOnlyDictionary<string, string> labels)
        {
            var has = labels.TryGetValue(Key, out var value);
            return Operator switch
            {
                Operator.Exists => has,
                Operator.NotExists => !has,
                Operator.In => has && Values.Contains(value!),
                Operator.NotIn => !has || !Values.Contains(value!),
                _ => has && long.TryParse(value, out var number) && long.TryParse(Values.First(), out var bound)
                    && (Operator == Operator.Greater ? number > bound : number < bound),
            };
        }
    }

    private sealed class Parser(string text)
    {
        private int _at;

        internal LabelSelector Read()
        {
            var requirements = new List<Requirement>();
            while (true)
            {
                requirements.Add(Next());
                var token = Token();
                if (token.Length == 0) return new(requirements);
                if (token != ",") throw Bad($"found '{token}', expected: ',' or 'end of string'");
            }
        }

        private Requirement Next()
        {
            var token = Token();
            if (token == "!") return new(Identifier(Token()), Operator.NotExists, []);
            var key = Identifier(token);
            var before = _at;
            var op = Token();
            switch (op)
            {
                case "" or ",":
                    _at = before;
                    return new(key, Operator.Exists, []);
                case "in":
                    return new(key, Operator.In, Values());
                case "notin":
                    return new(key, Operator.NotIn, Values());
                case "=" or "==":
                    return new(key, Operator.In, [Value()]);
                case "!=":
                    return new(key, Operator.NotIn, [Value()]);
                case ">" or "<":
                    return new(key, op == ">" ? Operator.Greater : Operator.Less, [Number(Value())]);
                default:
                    throw Bad($"found '{op}', expected: in, notin, =, ==, !=, gt, lt");
            }
        }

        private static string Number(string text) => long.TryParse(text, out _) ? text : throw Bad($"for 'Gt', 'Lt' operators, the value must be an integer");

        private string Value()
        {
            var before = _at;
            var token = Token();
            if (token is "," or "")
            {
                _at = before;
                return "";
            }
            return Identifier(token);
        }

        private HashSet<string> Values()
        {
            if (Token() != "(") throw Bad("found '', expected: '('");
            var values = new HashSet<string>(StringComparer.Ordinal);
            while (true)
            {
                var token = Token();
                if (token == ")" && values.Count == 0)
                {
                    values.Add("");
                    return values;
                }
                if (token == ",")
                {
                    values.Add("");
                    continue;
                }
                values.Add(Identifier(token));
                token = Token();
                if (token == ")") return values;
                if (token != ",") throw Bad($"found '{token}', expected: ',' or ')'");
            }
        }

        private static string Identifier(string token) =>
            token.Length > 0 && !IsSpecial(token[0]) ? token : throw Bad($"found '{token}', expected: identifier");

        private string Token()
        {
            while (_at < text.Length && char.IsWhiteSpace(text[_at])) _at++;
            if (_at == text.Length) return "";
            if (!IsSpecial(text[_at]))
            {
                var start = _at;
                while (_at < text.Length && !IsSpecial(text[_at]) && !char.IsWhiteSpace(text[_at])) _at++;
                return text[start.._at];
            }
            var c = text[_at++];
            if (c is '=' or '!' && _at < text.Length && text[_at] == '=')
            {
                _at++;
                return c == '=' ? "==" : "!=";
            }
            return c.ToString();
        }

        private static bool IsSpecial(char c) => c is '=' or '!' or '(' or ')' or ',' or '<' or '>';

        private static ApiException Bad(string why) => ApiException.BadRequest($"unable to parse requirement: {why}");
    }
}
