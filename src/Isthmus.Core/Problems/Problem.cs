using Isthmus.Core.Names;

namespace Isthmus.Core.Problems;

/// <summary>How much a <see cref="Problem"/> matters. An <see cref="Error"/> rejects the object that has it, never others.</summary>
public enum Severity { Info, Warning, Error }

/// <summary>What a warning says of a field.</summary>
public enum WarningKind
{
    Other,

    /// <summary>No field has this name.</summary>
    UnknownField,

    /// <summary>The field, or the whole object, changes nothing.</summary>
    NoEffect,

    /// <summary>The field changes nothing, with a control plane of Istio neither.</summary>
    IdleAnywhere,

    /// <summary>It has an effect on Pods whose proxy is Envoy, and on no others.</summary>
    OnlyEnvoys,
}

/// <summary>A user's mistake or a condition that the user must know about: collected and shown, never thrown.</summary>
/// <param name="Code">A short stable code (IST0126, ISM0001).</param>
/// <param name="Object">The object at fault, as <c>Kind namespace/name</c>, a file name or a flag.</param>
/// <param name="Path">The field inside the object, for example <c>spec.servers[0].port.number</c>; empty when it is the
/// whole object.</param>
/// <param name="Message">What is wrong, with the value.</param>
/// <param name="Remedy">What to do about it; empty when there is nothing to do.</param>
public sealed record Problem(string Code, string Object, string Path, string Message, string Remedy = "", Severity Severity = Severity.Error)
{
    public WarningKind Kind { get; init; }

    /// <summary>One line for people: names and values may be of others, and are written so that they change nothing of it.</summary>
    public override string ToString()
    {
        var where = Path.Length == 0 ? Object : Object.Length == 0 ? Path : $"{Object}: {Path}";
        var remedy = Remedy.Length == 0 ? "" : $" ({Remedy})";
        return Visible.Text(where.Length == 0 ? $"{Message}{remedy}" : $"{where}: {Message}{remedy}");
    }
}

/// <summary>A user's mistake that ends a command: printed as one message, without a stack trace, with a non-zero exit code.</summary>
public class ProblemException(Problem problem, Exception? cause = null) : Exception(problem.ToString(), cause)
{
    public ProblemException(string @object, string message, string remedy = "", Exception? cause = null)
        : this(new Problem("", @object, "", message, remedy), cause)
    {
    }

    public Problem Problem { get; } = problem;
}
