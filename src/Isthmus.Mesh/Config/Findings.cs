using Isthmus.Core.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Mesh.Config;

/// <summary>Collects the problems of one object.</summary>
internal sealed class Findings(string @object)
{
    /// <summary>Istio's code for an object that fails validation.</summary>
    public const string SchemaValidation = "IST0106";

    /// <summary>Istio's code for an object that is valid, but does not mean what it seems to.</summary>
    private const string SchemaWarning = "IST0133";

    private const int MaxProblems = 100;

    /// <summary>More errors than this cannot be closed: an object with so many does not apply.</summary>
    private const int MaxErrors = 1000;

    private readonly List<Problem> _problems = [];
    private readonly List<string> _errors = [];
    private readonly List<string> _closed = [];
    private readonly List<(string Path, string Message)> _limits = [];

    /// <summary>Whether the object has errors that prevent it from applying: all except those in closed fields.</summary>
    public bool HasErrors => _errors.Count > MaxErrors || _errors.Exists(error => !_closed.Exists(closed => IsWithin(error, closed)));

    public ValueList<Problem> Problems => _problems.ToValueList();

    /// <summary>Whether a field has errors, in itself or below.</summary>
    public bool HasErrorsAt(string path) => _errors.Count > MaxErrors || _errors.Exists(error => IsWithin(error, path));

    /// <summary>The reader gives a field its strictest meaning: its errors, which still refuse the object at admission, do not
    /// prevent a stored object from applying.</summary>
    public void Close(string path) => _closed.Add(path);

    public void Error(string path, string message, string remedy = "")
    {
        if (_errors.Count <= MaxErrors) _errors.Add(path);
        Add(new(SchemaValidation, @object, path, message, remedy));
    }

    /// <summary>A limit or rule of API servers that a value breaks. What readers say of the same field tells more, so it counts only if they say nothing
    /// (<see cref="SettleLimits"/>).</summary>
    public void Limit(string path, string message)
    {
        if (_limits.Count < MaxProblems) _limits.Add((path, message));
    }

    /// <summary>Reports the limits that are broken where nothing else is wrong. Such errors refuse the object at admission; one that is stored applies as it
    /// is read, as it did before there was a limit.</summary>
    public void SettleLimits()
    {
        foreach (var (path, message) in _limits)
        {
            if (HasErrorsAt(path)) continue;
            Error(path, message);
            Close(path);
        }
        _limits.Clear();
    }

    public void Warn(string path, string message, string remedy = "", WarningKind kind = WarningKind.Other) =>
        Add(new(SchemaWarning, @object, path, message, remedy, Severity.Warning) { Kind = kind });

    /// <param name="what">What applies to Envoys only, after what other proxies lack.</param>
    public void OnlyEnvoys(string path, string what, string remedy) =>
        Warn(path, $"{what} applies only to Pods whose proxy is Envoy", $"set binaryPath for the Pods that need it, or {remedy}", WarningKind.OnlyEnvoys);

    private static bool IsWithin(string path, string field) =>
        path.StartsWith(field, StringComparison.Ordinal) && (path.Length == field.Length || path[field.Length] is '.' or '[');

    private void Add(Problem problem)
    {
        if (_problems.Count < MaxProblems) _problems.Add(problem);
    }
}
