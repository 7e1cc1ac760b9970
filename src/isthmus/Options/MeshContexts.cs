using System.CommandLine;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Options;

/// <summary><c>--contexts</c>: which clusters form the mesh.</summary>
internal sealed class MeshContexts(string name = "--contexts",
    string description = "Contexts of the clusters in the mesh, separated by commas; by default, all contexts in the kubeconfig")
{
    internal Option<string[]> Option
    {
        get;
    } = WithContexts(new(name) { Description = description, HelpName = name.TrimStart('-'), AllowMultipleArgumentsPerToken = true });

    /// <summary>Those named, else all of the kubeconfig.</summary>
    internal IReadOnlyList<string> Names(ParseResult line)
    {
        var names = Named(line);
        if (names.Count > 0) return names;
        KubeConfig.MustExist(line.GetValue(GlobalOptions.Kubeconfig), Environment.GetEnvironmentVariable);
        names = All(line);
        return names.Count > 0 ? names
            : throw new ProblemException(Option.Name, "the kubeconfig has no contexts",
                "create clusters with 'isthmus lab up', or specify a kubeconfig with --kubeconfig");
    }

    /// <summary>Those named; empty when none are.</summary>
    internal IReadOnlyList<string> Named(ParseResult line) =>
        [.. (line.GetValue(Option) ?? []).SelectMany(list => list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            .Distinct()];

    internal static IReadOnlyList<string> All(ParseResult line) =>
        [.. KubeConfig.Contexts(line.GetValue(GlobalOptions.Kubeconfig), Environment.GetEnvironmentVariable)];

    /// <summary>The shell completes the last of several.</summary>
    private static Option<string[]> WithContexts(Option<string[]> option)
    {
        option.CompletionSources.Add(context =>
        {
            var before = context.WordToComplete[..(context.WordToComplete.LastIndexOf(',') + 1)];
            return GlobalOptions.Known().Where(known => !before.Split(',').Contains(known)).Select(known => before + known);
        });
        return option;
    }

    internal static ClusterAccess Load(ParseResult line, string? name) =>
        KubeConfig.Load(line.GetValue(GlobalOptions.Kubeconfig), name, Environment.GetEnvironmentVariable);
}
