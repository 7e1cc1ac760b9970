using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Injection.Templates;

/// <summary>
/// A template in the language of Go's <c>text/template</c> (https://pkg.go.dev/text/template) with the functions that injection templates of
/// Istio use (<see cref="TemplateFunctions"/>). It reads only the data that it gets: no file, no variable of the environment, no clock.
/// </summary>
public sealed class GoTemplate
{
    /// <summary>The longest text of a template, in characters.</summary>
    public const int LongestText = 256 * 1024;

    private readonly string _name;
    private readonly IReadOnlyList<TemplateNode> _main;
    private readonly IReadOnlyDictionary<string, IReadOnlyList<TemplateNode>> _defined;

    private GoTemplate(string name, IReadOnlyList<TemplateNode> main,
        IReadOnlyDictionary<string, IReadOnlyList<TemplateNode>> defined) => (_name, _main, _defined) = (name, main, defined);

    /// <exception cref="ProblemException">The text is not a template; the message has its line.</exception>
    public static GoTemplate Parse(string name, string text)
    {
        if (text.Length > LongestText) throw Fault(name, 1, $"it has {text.Length} characters (at most {LongestText})");
        var (main, defined) = new TemplateParser(name, new TemplateLexer(name, text).Read()).Read();
        return new(name, main, defined);
    }

    /// <summary>What the template makes of the data.</summary>
    /// <param name="data">The value of <c>.</c> and <c>$</c>. It stays as it is.</param>
    /// <exception cref="ProblemException">The template cannot run with this data, or does not end.</exception>
    public string Render(JsonObject data) => new TemplateRun(_name, _defined, data).Run(_main);

    internal static ProblemException Fault(string name, int line, string reason) => new($"template {name}:{line}", reason, "correct the template");
}
