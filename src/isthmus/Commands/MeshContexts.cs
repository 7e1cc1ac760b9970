using System.CommandLine;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Commands;

/// <summary><c>--contexts</c>: which clusters form the mesh.</summary>
internal sealed class MeshContexts
{
    internal Option<string[]> Option { get; } = new("--contexts")
    {
        Description = "Contexts of the mesh's clusters, separated by commas; all contexts of the kubeconfig when left out", AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>Those named, else all of the kubeconfig.</summary>
    internal IReadOnlyList<string> Names(ParseResult line)
    {
        var names = (line.GetValue(Option) ?? []).SelectMany(list => list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).Distinct().ToList();
        if (names.Count == 0) names = [.. KubeConfig.Contexts(line.GetValue(GlobalOptions.Kubeconfig), Environment.GetEnvironmentVariable)];
        return names.Count > 0 ? names
            : throw new ProblemException("--contexts", "the kubeconfig has no contexts", "make clusters with 'isthmus lab up', or name a kubeconfig with --kubeconfig");
    }

    internal static ClusterAccess Load(ParseResult line, string? name) => KubeConfig.Load(line.GetValue(GlobalOptions.Kubeconfig), name, Environment.GetEnvironmentVariable);
}
