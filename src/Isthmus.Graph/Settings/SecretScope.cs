using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Graph.Settings;

/// <summary>Where a control plane reads the Secrets of gateways.</summary>
/// <param name="Namespaces">Empty: all.</param>
/// <param name="InRemotes">Also in clusters with a remote secret, as far as that gives access (Istio: PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER,
/// which is on there).</param>
public sealed record SecretScope(ValueList<string> Namespaces, bool InRemotes)
{
    /// <summary>In all namespaces of the configuration cluster.</summary>
    public static readonly SecretScope Everywhere = new([], false);

    /// <exception cref="ProblemException">An entry is not the name of a namespace.</exception>
    internal static ValueList<string> ReadNamespaces(Func<string, string?> environment)
    {
        var names = (environment(WellKnown.SecretNamespaces) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Distinct().ToValueList();
        foreach (var name in names)
        {
            if (!name.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter == '-'))
                throw new ProblemException(WellKnown.SecretNamespaces, $"'{name}' is not the name of a namespace",
                    "write names with commas between them, or remove the variable to read the Secrets of all namespaces");
        }
        return names;
    }
}
