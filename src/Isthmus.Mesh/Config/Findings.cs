using Isthmus.Core.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Mesh.Config;

/// <summary>Collects the problems of one object.</summary>
internal sealed class Findings(string @object)
{
    /// <summary>Istio's code for an object that fails validation.</summary>
    public const string SchemaValidation = "IST0106";
    private const int MaxProblems = 100;

    private readonly List<Problem> _problems = [];

    public bool HasErrors { get; private set; }

    public ValueList<Problem> Problems => _problems.ToValueList();

    public void Error(string path, string message, string remedy = "")
    {
        HasErrors = true;
        Add(new(SchemaValidation, @object, path, message, remedy));
    }

    public void Warn(string path, string message, string remedy = "") =>
        Add(new(SchemaValidation, @object, path, message, remedy, Severity.Warning));

    private void Add(Problem problem)
    {
        if (_problems.Count < MaxProblems) _problems.Add(problem);
    }
}
