using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Graph.Settings;

/// <summary>A ServiceAccount, in whichever cluster.</summary>
public readonly record struct NodeAccount(string Namespace, string Name)
{
    public override string ToString() => $"{Namespace}/{Name}";
}

/// <summary>The ServiceAccounts whose proxies get certificates for the workloads of their nodes. Istio leaves out what it cannot read.</summary>
internal static partial class NodeAccountSettings
{
    private const string Variable = "CA_TRUSTED_NODE_ACCOUNTS";

    /// <exception cref="ProblemException">An entry is not the name of an account.</exception>
    public static ValueList<NodeAccount> Read(Func<string, string?> environment) =>
        (environment(Variable) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(Account).ToValueList();

    private static NodeAccount Account(string text) => text.Split('/') is [var ns, var name] && Name.IsMatch(ns) && Name.IsMatch(name) ? new(ns, name)
        : throw new ProblemException(Variable, $"'{text}' is not a ServiceAccount", "write NAMESPACE/NAME, for example istio-system/ztunnel");

    /// <summary>What Kubernetes allows in both.</summary>
    [GeneratedRegex(@"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Name { get; }
}
