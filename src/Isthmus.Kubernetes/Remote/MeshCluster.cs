using Isthmus.Kubernetes.Client;

namespace Isthmus.Kubernetes.Remote;

/// <summary>A cluster of the mesh: equal values mean that nothing has to be done.</summary>
/// <param name="Secret">The remote secret that names it, <c>namespace/name</c>, or the path of a file with its kubeconfig; empty for the
/// configuration cluster.</param>
public sealed record MeshCluster(string Id, string Secret, ClusterAccess Access)
{
    public bool IsConfig => Secret.Length == 0;

    /// <summary>For people: <c>Secret istio-system/remote</c>, or <c>file /etc/remotes/east.yaml</c>.</summary>
    public static string Described(string secret) => secret.StartsWith('/') ? $"file {secret}" : $"Secret {secret}";
}
