using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Wire.Dns;

namespace Isthmus.ControlPlane;

/// <summary><c>isthmus discovery</c>: the control plane's process.</summary>
public static class DiscoveryProgram
{
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var settings = DiscoverySettings.Read(args, Environment.GetEnvironmentVariable);
        await using var controlPlane = ControlPlane.Build(settings, Ports(settings));
        try
        {
            await controlPlane.RunAsync(stop);
            return 0;
        }
        catch (IOException e) when (e.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException)
        {
            throw new ProblemException("discovery", e.Message, "stop the program that listens there", e);
        }
    }

    /// <summary>A mounted kubeconfig selects the configuration cluster. Without one, it is the cluster that this Pod runs
    /// in.</summary>
    private static ControlPlanePorts Ports(DiscoverySettings settings)
    {
        var names = new NameClient(ResolverSettings.Load, new Random(), TimeProvider.System);
        var own = KubeConfig.InCluster(Environment.GetEnvironmentVariable);
        if (settings.KubeconfigFile.Length > 0 && File.Exists(settings.KubeconfigFile))
            return new(TimeProvider.System, new Random(),
                KubeConfig.Load(settings.KubeconfigFile, null,
                    Environment.GetEnvironmentVariable) with { Name = settings.ClusterId, TokenKubeconfig = settings.KubeconfigFile },
                names, own);
        // To act on the wrong cluster would be worse than not to act.
        if (settings.SecretsAtHome)
            throw new ProblemException("discovery", $"must serve another cluster (LOCAL_CLUSTER_SECRET_WATCHER), but {settings.KubeconfigFile} does not exist",
                $"create it with 'isthmus create-remote-secret --type=config -i {settings.Namespace}' in that cluster and apply it here");
        return new(TimeProvider.System, new Random(), own
            ?? throw new ProblemException("discovery", "does not run in a Pod and has no kubeconfig", "set KUBECONFIG to a file for the configuration cluster"),
            names);
    }
}
