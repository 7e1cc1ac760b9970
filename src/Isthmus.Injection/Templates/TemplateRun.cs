using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Injection.Templates;

/// <summary>One run of a template. Values are those of JSON.</summary>
internal sealed class TemplateRun(string name, IReadOnlyDictionary<string, IReadOnlyList<TemplateNode>> defined, JsonObject data)
{
    private const int MostSteps = 100_000, LongestOutput = 1024 * 1024, DeepestCalls = 50;

    private enum Outcome
    {
        Went, Broke, Continued,
    }

    private readonly StringBuilder _output = new();
    private List<(string Name, JsonNode? Value)> _variables = [("", data)];
    private int _steps, _calls, _line = 1;

    internal string Run(IReadOnlyList<TemplateNode> nodes)
    {
        Walk(nodes, data);
        return _output.ToString();
    }

    private Outcome Walk(IReadOnlyList<TemplateNode> nodes, JsonNode? dot)
    {
        var known = _variables.Count;
        foreach (var node in nodes)
        {
            _line = node.Line;
            Count();
            var outcome = Step(node, dot);
            if (outcome == Outcome.Went) continue;
            Forget(known);
            return outcome;
        }
        Forget(known);
        return Outcome.Went;
    }

    private Outcome Step(TemplateNode node, JsonNode? dot)
    {
        switch (node)
        {
            case TextNode text:
                Write(text.Text);
                return Outcome.Went;
            case ActionNode action:
                {
                    var value = Value(action.Pipeline, dot);
                    if (action.Pipeline.Variables.Count == 0) Write(TemplateValues.Text(value));
                    return Outcome.Went;
                }
            case CallNode call:
                Call(call, dot);
                return Outcome.Went;
            case JumpNode jump:
                return jump.IsBreak ? Outcome.Broke : Outcome.Continued;
            case BranchNode { Keyword: "range" } loop:
                return Range(loop, dot);
            case BranchNode branch:
                {
                    var known = _variables.Count;
                    var value = Value(branch.Pipeline, dot);
                    var outcome = TemplateValues.IsTrue(value) ? Walk(branch.Body, branch.Keyword == "with" ? value : dot) : Walk(branch.Otherwise, dot);
                    Forget(known);
                    return outcome;
                }
            default:
                throw new InvalidOperationException($"no such node: {node.GetType()}");
        }
    }

    private Outcome Range(BranchNode loop, JsonNode? dot)
    {
        var known = _variables.Count;
        var pipeline = loop.Pipeline with { Variables = [] };
        var entries = Entries(Value(pipeline, dot)).ToList();
        if (entries.Count == 0) return Walk(loop.Otherwise, dot);
        foreach (var (key, value) in entries)
        {
            Count();
            IReadOnlyList<JsonNode?> values = loop.Pipeline.Variables.Count == 2 ? [key, value] : [value];
            for (var i = 0; i < loop.Pipeline.Variables.Count; i++) Set(loop.Pipeline.Variables[i], values[i], loop.Pipeline.Declares);
            var outcome = Walk(loop.Body, value);
            Forget(known);
            if (outcome == Outcome.Broke) break;
        }
        return Outcome.Went;
    }

    private IEnumerable<(JsonNode? Key, JsonNode? Value)> Entries(JsonNode? value) => value switch
    {
        null => [],
        JsonArray list => list.Select((item, i) => ((JsonNode?)i, item)),
        JsonObject map => map.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => ((JsonNode?)entry.Key, entry.Value)),
        JsonValue single when single.GetValueKind() == JsonValueKind.Number && TemplateValues.Whole(single) is { } count =>
            count <= MostSteps
                ? Enumerable.Range(0, (int)Math.Max(0, count)).Select(i => ((JsonNode?)i, (JsonNode?)i))
                : throw Fault($"range over {count} is too long"),
        JsonValue single when TemplateValues.Text(single).Length == 0 => [],
        _ => throw Fault($"range can't iterate over {TemplateValues.Text(value)}"),
    };

    private void Call(CallNode call, JsonNode? dot)
    {
        if (++_calls > DeepestCalls) throw Fault($"templates call each other deeper than {DeepestCalls}");
        var argument = call.Argument is null ? null : Value(call.Argument, dot);
        var outer = _variables;
        _variables = [("", argument)];
        Walk(defined[call.Name], argument);
        _variables = outer;
        _calls--;
    }

    private JsonNode? Value(Pipeline pipeline, JsonNode? dot)
    {
        JsonNode? value = null;
        for (var i = 0; i < pipeline.Commands.Count; i++) value = Command(pipeline.Commands[i], dot, i > 0, value);
        foreach (var variable in pipeline.Variables) Set(variable, value, pipeline.Declares);
        return value;
    }

    private JsonNode? Command(IReadOnlyList<Operand> command, JsonNode? dot, bool isPiped, JsonNode? piped)
    {
        if (command[0] is not FunctionOperand function) return Value(command[0], dot);
        if (function.Name is "and" or "or")
        {
            // They stop at the first value that decides.
            JsonNode? last = null;
            var arguments = command.Skip(1).Select(operand => (Func<JsonNode?>)(() => Value(operand, dot)))
                .Concat(isPiped ? [() => piped] : Array.Empty<Func<JsonNode?>>()).ToList();
            if (arguments.Count == 0) throw Fault($"{function.Name} needs a value");
            foreach (var argument in arguments)
            {
                last = argument();
                if (TemplateValues.IsTrue(last) == (function.Name == "or")) return last;
            }
            return last;
        }
        var given = command.Skip(1).Select(operand => Value(operand, dot)).ToList();
        if (isPiped) given.Add(piped);
        try { return TemplateFunctions.Call(function.Name, given); }
        catch (TemplateFaultException e) { throw Fault($"{function.Name}: {e.Message}"); }
    }

    private JsonNode? Value(Operand operand, JsonNode? dot) => operand switch
    {
        LiteralOperand literal => literal.Value,
        DotOperand => dot,
        VariableOperand variable => _variables.FindLast(known => known.Name == variable.Name).Value,
        PipelineOperand nested => Value(nested.Pipeline, dot),
        FunctionOperand function => Command([function], dot, false, null),
        FieldOperand field => Field(Value(field.Of, dot), field.Name),
        _ => throw new InvalidOperationException($"no such operand: {operand.GetType()}"),
    };

    /// <summary>Objects of Kubernetes and Istio have Go's names in templates (<c>.Spec.HostNetwork</c>), and JSON's here (<c>hostNetwork</c>). Of those,
    /// a field that is not set has its empty value, as in Go.</summary>
    private JsonNode? Field(JsonNode? value, string field)
    {
        var isGo = char.IsUpper(field[0]);
        if (value is JsonObject map)
        {
            if (map.TryGetPropertyValue(field, out var found)) return found;
            if (!isGo) return null;
            return map.FirstOrDefault(entry => entry.Key.Equals(field, StringComparison.OrdinalIgnoreCase)) is { Key: not null } known ? known.Value : "";
        }
        // Methods of Go's messages that return the value itself.
        if (field is "GetValue" or "String") return value;
        if (isGo && (value is null || TemplateValues.Text(value).Length == 0)) return "";
        throw Fault(value is null ? $"there is no value that could have the field '{field}'" : $"'{TemplateValues.Text(value)}' has no field '{field}'");
    }

    private void Count()
    {
        if (++_steps > MostSteps) throw Fault($"it takes more than {MostSteps} steps");
    }

    private void Set(string variable, JsonNode? value, bool declares)
    {
        if (declares) _variables.Add((variable, value));
        else _variables[_variables.FindLastIndex(known => known.Name == variable)] = (variable, value);
    }

    private void Forget(int known) => _variables.RemoveRange(known, _variables.Count - known);

    private void Write(string text)
    {
        if (_output.Length + text.Length > LongestOutput) throw Fault($"it makes more than {LongestOutput} characters");
        _output.Append(text);
    }

    private ProblemException Fault(string reason) => GoTemplate.Fault(name, _line, reason);
}
