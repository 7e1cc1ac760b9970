using Isthmus.Core.Collections;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>
/// Reads the one-line form in which the default policy is written: <c>verbs | groups | resources [| names]</c>, or <c>verbs @ paths</c>.
/// </summary>
internal static class BootstrapRules
{
    public static ValueList<PolicyRule> Parse(params ReadOnlySpan<string> lines)
    {
        var rules = new List<PolicyRule>();
        foreach (var line in lines) rules.Add(ParseLine(line));
        return rules.ToValueList();
    }

    private static PolicyRule ParseLine(string line)
    {
        var paths = line.Split('@');
        if (paths.Length == 2) return new(List(paths[0]), [], [], [], List(paths[1]));
        var parts = line.Split('|');
        return new(List(parts[0]), List(parts[1]), List(parts[2]), parts.Length > 3 ? List(parts[3]) : [], []);
    }

    private static ValueList<string> List(string part) => part.Split(',').Select(item => item.Trim()).ToValueList();
}
