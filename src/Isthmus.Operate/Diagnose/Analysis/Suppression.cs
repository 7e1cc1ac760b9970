using System.Text.RegularExpressions;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Findings that nobody wants to see: a code, and the objects that may have it.</summary>
/// <param name="Object">As <c>Kind name.namespace</c>, or <c>Kind name</c> at cluster scope; <c>*</c> stands for any characters.</param>
public sealed record Suppression(string Code, string Object)
{
    /// <summary>Reads <c>CODE=KIND NAME.NAMESPACE</c>.</summary>
    /// <exception cref="WrongUseException">It has another form.</exception>
    public static Suppression Parse(string text, string flag)
    {
        if (text.Split('=') is not [{ Length: > 0 } code, { Length: > 0 } name])
            throw new WrongUseException(flag, $"'{text}' is not of the form CODE=KIND NAME.NAMESPACE", "for example \"IST0103=Pod *.testing\"");
        return new(code, name);
    }

    public bool Covers(Finding finding) => finding.Problem.Code == Code
        && Regex.IsMatch(Dotted(finding.Problem), $"^{Regex.Escape(Object).Replace("\\*", ".*", StringComparison.Ordinal)}$",
            RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);

    /// <summary><c>Kind namespace/name</c> as <c>Kind name.namespace</c>.</summary>
    private static string Dotted(Problem problem) =>
        problem.Object.Split(' ', 2) is [var kind, var name] && name.Split('/') is [var ns, var own] ? $"{kind} {own}.{ns}" : problem.Object;
}
