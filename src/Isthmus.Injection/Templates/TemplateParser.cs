using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Injection.Templates;

/// <summary>Makes the tree of a template from its tokens. Unknown functions and variables are errors here, not when the template runs.</summary>
internal sealed class TemplateParser(string name, IReadOnlyList<Token> tokens)
{
    private const int Deepest = 100;

    private readonly Dictionary<string, IReadOnlyList<TemplateNode>> _defined = new(StringComparer.Ordinal);
    private readonly List<string> _variables = [""]; // '$' itself is the data.
    private int _at, _depth, _loops;

    private Token Next => tokens[_at];

    /// <summary>The main template, and those that it defines.</summary>
    internal (IReadOnlyList<TemplateNode> Main, IReadOnlyDictionary<string, IReadOnlyList<TemplateNode>> Defined) Read()
    {
        var (main, ended) = List(null);
        if (ended.Text.Length > 0) throw Fault(ended, $"unexpected '{{{{{ended.Text}}}}}'");
        foreach (var call in Calls(main).Concat(_defined.Values.SelectMany(Calls)))
        {
            if (!_defined.ContainsKey(call.Name)) throw GoTemplate.Fault(name, call.Line, $"template \"{call.Name}\" is not defined");
        }
        return (main, _defined);
    }

    private static IEnumerable<CallNode> Calls(IReadOnlyList<TemplateNode> nodes) => nodes.SelectMany(node => node switch
    {
        CallNode call => [call],
        BranchNode branch => Calls(branch.Body).Concat(Calls(branch.Otherwise)),
        _ => Enumerable.Empty<CallNode>(),
    });

    /// <summary>Nodes up to the word that ends them (<c>end</c>, <c>else</c>), or to the end of the text.</summary>
    private (List<TemplateNode> Nodes, Token Ended) List(string? keyword)
    {
        if (++_depth > Deepest) throw Fault(Next, $"blocks are nested deeper than {Deepest}");
        var (nodes, known) = (new List<TemplateNode>(), _variables.Count);
        while (true)
        {
            var token = Next;
            _at++;
            if (token.Kind == TokenKind.Text)
            {
                nodes.Add(new TextNode(token.Line, token.Text));
                continue;
            }
            if (token.Kind == TokenKind.End)
            {
                if (keyword is not null) throw Fault(token, $"'{{{{{keyword}}}}}' has no '{{{{end}}}}'");
                return Ended(new(TokenKind.End, "", token.Line, false));
            }
            var word = Next;
            if (word.Kind == TokenKind.Word && word.Text is "end" or "else")
            {
                _at++;
                return Ended(word);
            }
            if (Action(token.Line) is { } node) nodes.Add(node);
        }

        (List<TemplateNode> Nodes, Token Ended) Ended(Token ended)
        {
            _depth--;
            _variables.RemoveRange(known, _variables.Count - known);
            return (nodes, ended);
        }
    }

    private TemplateNode? Action(int line)
    {
        var word = Next.Kind == TokenKind.Word ? Next.Text : "";
        switch (word)
        {
            case "if" or "with" or "range":
                _at++;
                return Branch(line, word);
            case "define" or "block":
                _at++;
                return Define(line, word);
            case "template":
                {
                    _at++;
                    var called = Expect(TokenKind.String, "the name of a template").Text;
                    var argument = Next.Kind == TokenKind.Close ? null : ReadPipeline(false);
                    Close();
                    return new CallNode(line, called, argument);
                }
            case "break" or "continue":
                if (_loops == 0) throw Fault(Next, $"'{word}' is outside of a range");
                _at++;
                Close();
                return new JumpNode(line, word == "break");
            default:
                {
                    var pipeline = ReadPipeline(false);
                    Close();
                    return new ActionNode(line, pipeline);
                }
        }
    }

    private BranchNode Branch(int line, string keyword)
    {
        var known = _variables.Count;
        var pipeline = ReadPipeline(keyword == "range");
        Close();
        if (keyword == "range") _loops++;
        var (body, ended) = List(keyword);
        if (keyword == "range") _loops--;
        IReadOnlyList<TemplateNode> otherwise = [];
        if (ended.Text == "else")
        {
            if (Next is { Kind: TokenKind.Word, Text: "if" or "with" } chained && chained.Text == keyword)
            {
                _at++;
                otherwise = [Branch(ended.Line, chained.Text)];
                _variables.RemoveRange(known, _variables.Count - known);
                return new(line, keyword, pipeline, body, otherwise);
            }
            Close();
            (otherwise, ended) = List(keyword);
            if (ended.Text == "else") throw Fault(ended, "a second '{{else}}'");
        }
        Close();
        _variables.RemoveRange(known, _variables.Count - known);
        return new(line, keyword, pipeline, body, otherwise);
    }

    private CallNode? Define(int line, string keyword)
    {
        var defined = Expect(TokenKind.String, "the name of a template").Text;
        var argument = keyword == "block" ? ReadPipeline(false) : null;
        Close();
        // What is defined sees no variables but '$'.
        var outer = _variables[1..];
        _variables.RemoveRange(1, outer.Count);
        var loops = _loops;
        _loops = 0;
        var (body, ended) = List(keyword);
        if (ended.Text == "else") throw Fault(ended, $"'{{{{else}}}}' in '{{{{{keyword}}}}}'");
        Close();
        _loops = loops;
        _variables.AddRange(outer);
        if (!_defined.TryAdd(defined, body)) throw GoTemplate.Fault(name, line, $"template \"{defined}\" is defined twice");
        return keyword == "block" ? new CallNode(line, defined, argument) : null;
    }

    private Pipeline ReadPipeline(bool isRange)
    {
        var (variables, declares) = ReadVariables(isRange);
        var commands = new List<IReadOnlyList<Operand>>();
        do
        {
            commands.Add(ReadCommand());
            if (commands.Count > 1 && commands[^1][0] is not FunctionOperand) throw Fault(Next, "only a function can follow '|'");
        }
        while (Skip(TokenKind.Pipe));
        if (declares) _variables.AddRange(variables);
        return new(variables, declares, commands);
    }

    private (IReadOnlyList<string> Variables, bool Declares) ReadVariables(bool isRange)
    {
        var start = _at;
        var names = new List<string>();
        while (Next.Kind == TokenKind.Variable && names.Count < (isRange ? 2 : 1))
        {
            names.Add(Next.Text);
            _at++;
            if (!isRange || !Skip(TokenKind.Comma)) break;
        }
        if (names.Count > 0 && Next.Kind is TokenKind.Declare or TokenKind.Assign)
        {
            var declares = Next.Kind == TokenKind.Declare;
            if (!declares && names.Find(variable => !_variables.Contains(variable)) is { } unknown) throw Fault(Next, $"undefined variable ${unknown}");
            _at++;
            return (names, declares);
        }
        _at = start;
        return ([], false);
    }

    private List<Operand> ReadCommand()
    {
        var operands = new List<Operand>();
        while (Next.Kind is not (TokenKind.Pipe or TokenKind.Close or TokenKind.Right)) operands.Add(ReadOperand());
        if (operands.Count == 0) throw Fault(Next, "a value is missing");
        if (operands.Count > 1 && operands[0] is not FunctionOperand) throw Fault(Next, "arguments follow something that is not a function");
        return operands;
    }

    private Operand ReadOperand()
    {
        var token = Next;
        _at++;
        Operand operand = token.Kind switch
        {
            TokenKind.Dot => new DotOperand(),
            TokenKind.Field => new FieldOperand(new DotOperand(), token.Text),
            TokenKind.Variable => _variables.Contains(token.Text) ? new VariableOperand(token.Text) : throw Fault(token, $"undefined variable ${token.Text}"),
            TokenKind.String => new LiteralOperand(token.Text),
            TokenKind.Number => new LiteralOperand(Number(token)),
            TokenKind.Left => Parenthesis(token),
            TokenKind.Word => Word(token),
            _ => throw Fault(token, $"unexpected '{token.Text}'"),
        };
        while (Next is { Kind: TokenKind.Field, Glued: true } field)
        {
            operand = new FieldOperand(operand, field.Text);
            _at++;
        }
        return operand;
    }

    private PipelineOperand Parenthesis(Token open)
    {
        if (++_depth > Deepest) throw Fault(open, $"parentheses are nested deeper than {Deepest}");
        var pipeline = ReadPipeline(false);
        if (!Skip(TokenKind.Right)) throw Fault(open, "'(' has no ')'");
        _depth--;
        return new(pipeline);
    }

    private Operand Word(Token word) => word.Text switch
    {
        "true" => new LiteralOperand(true),
        "false" => new LiteralOperand(false),
        "nil" => new LiteralOperand(null),
        var function when TemplateFunctions.IsKnown(function) => new FunctionOperand(function),
        var other => throw Fault(word, $"function \"{other}\" is not supported (functions: {TemplateFunctions.Names})"),
    };

    private JsonNode Number(Token token)
    {
        var text = token.Text.Replace("_", "", StringComparison.Ordinal);
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)) return whole;
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : throw Fault(token, $"'{token.Text}' is not a number");
    }

    private Token Expect(TokenKind kind, string what)
    {
        if (Next.Kind != kind) throw Fault(Next, $"{what} is missing");
        return tokens[_at++];
    }

    private bool Skip(TokenKind kind)
    {
        if (Next.Kind != kind) return false;
        _at++;
        return true;
    }

    private void Close()
    {
        if (!Skip(TokenKind.Close)) throw Fault(Next, $"unexpected '{Next.Text}'");
    }

    private ProblemException Fault(Token token, string reason) => GoTemplate.Fault(name, token.Line, reason);
}
