using System.Text.Json.Nodes;

namespace Isthmus.Injection.Templates;

/// <summary>A part of a template. <c>Line</c> is where it begins, from 1.</summary>
internal abstract record TemplateNode(int Line);

internal sealed record TextNode(int Line, string Text) : TemplateNode(Line);

/// <summary>An action that prints its value, unless it only sets variables.</summary>
internal sealed record ActionNode(int Line, Pipeline Pipeline) : TemplateNode(Line);

/// <summary><c>if</c>, <c>with</c> and <c>range</c>, with what comes after <c>else</c>.</summary>
internal sealed record BranchNode(int Line, string Keyword, Pipeline Pipeline, IReadOnlyList<TemplateNode> Body, IReadOnlyList<TemplateNode> Otherwise)
    : TemplateNode(Line);

/// <summary><c>template "name" value</c>.</summary>
internal sealed record CallNode(int Line, string Name, Pipeline? Argument) : TemplateNode(Line);

/// <summary><c>break</c> or <c>continue</c>.</summary>
internal sealed record JumpNode(int Line, bool IsBreak) : TemplateNode(Line);

/// <summary>Commands, each of which gets the value of the one before as its last argument.</summary>
/// <param name="Variables">What gets the value; of a <c>range</c>, up to two.</param>
/// <param name="Declares">Whether the variables are new.</param>
internal sealed record Pipeline(IReadOnlyList<string> Variables, bool Declares, IReadOnlyList<IReadOnlyList<Operand>> Commands);

internal abstract record Operand;

internal sealed record LiteralOperand(JsonNode? Value) : Operand;

/// <summary>The current value, <c>.</c></summary>
internal sealed record DotOperand : Operand;

internal sealed record VariableOperand(string Name) : Operand;

internal sealed record FunctionOperand(string Name) : Operand;

internal sealed record PipelineOperand(Pipeline Pipeline) : Operand;

/// <summary>A field of a value: <c>.A</c>, <c>$x.A</c>, <c>(…).A</c></summary>
internal sealed record FieldOperand(Operand Of, string Name) : Operand;
