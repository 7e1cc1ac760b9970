using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>A cluster as a kubeconfig on the machine names it.</summary>
/// <param name="Server">The address that clients use.</param>
/// <param name="Proxy">The HTTP proxy to that address; null when none is needed.</param>
public sealed record KubeconfigEntry(ClusterSettings Cluster, Uri Server, Uri? Proxy)
{
    /// <summary>The API server's own address, through the lab's HTTP proxy.</summary>
    public static KubeconfigEntry ThroughProxy(ClusterSettings cluster, int proxyPort) =>
        new(cluster, cluster.Server, new Uri($"http://127.0.0.1:{proxyPort}"));

    /// <summary>An address on the machine's loopback, for clients that ignore a kubeconfig's proxy.</summary>
    public static KubeconfigEntry OnLoopback(ClusterSettings cluster, int port) => new(cluster, Loopback(port), null);

    internal static Uri Loopback(int port) => new($"https://127.0.0.1:{port}");
}
