using System.CommandLine;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Options;

/// <summary>Options that every command takes, before or after its name, spelt as in istioctl.</summary>
internal static class GlobalOptions
{
    internal static readonly Option<string?> Context = new("--context")
    {
        Description = "Name of the kubeconfig context to use", HelpName = "context", Recursive = true
    };

    internal static readonly Option<string?> Kubeconfig = new("--kubeconfig", "-c") { Description = "Kubernetes configuration file", Recursive = true };

    internal static readonly Option<string> IstioNamespace = new("--istioNamespace", "-i")
    {
        Description = "Namespace of the control plane", Recursive = true, DefaultValueFactory = _ => WellKnown.SystemNamespace,
    };

    internal static readonly Option<string?> Namespace = new("--namespace", "-n") { Description = "Namespace of the requested objects", Recursive = true };

    internal static readonly IReadOnlyList<Option> All = [Context, Kubeconfig, IstioNamespace, Namespace];

    internal static void AddTo(RootCommand root)
    {
        if (Context.CompletionSources.Count == 0) Context.CompletionSources.Add(_ => Known());
        foreach (var option in All) root.Options.Add(option);
    }

    /// <summary>The contexts of the kubeconfig, for the shell; none when it cannot be read.</summary>
    internal static IEnumerable<string> Known()
    {
        try
        {
            return KubeConfig.Contexts(null, Environment.GetEnvironmentVariable);
        }
        catch (Exception e) when (e is Core.Problems.ProblemException or IOException)
        {
            return [];
        }
    }

    internal static ClusterAccess Access(ParseResult line) =>
        KubeConfig.Load(line.GetValue(Kubeconfig), line.GetValue(Context), Environment.GetEnvironmentVariable);

    internal static KubeClient Client(ParseResult line) => new(Access(line), "isthmus");
}
