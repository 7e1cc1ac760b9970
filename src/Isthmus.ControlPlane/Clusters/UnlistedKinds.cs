using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>Why a cluster has not been read completely, and what to do about it. Pure.</summary>
internal static class UnlistedKinds
{
    /// <summary>A text for each reason, with the kinds that it affects.</summary>
    public static IEnumerable<string> Describe(string cluster, IEnumerable<(ResourceKind Kind, Exception? Error)> kinds) => kinds
        .GroupBy(kind => Reason(kind.Kind, kind.Error), kind => $"{kind.Kind} ({kind.Kind.Version})")
        .Select(group => $"cluster {cluster}: {string.Join(", ", group.Order(StringComparer.Ordinal))}: {group.Key}");

    private static string Reason(ResourceKind kind, Exception? error) => error switch
    {
        null => "not listed yet",
        KubeException { Code: 404 } when kind.Group.EndsWith("istio.io", StringComparison.Ordinal) =>
            "the API server does not serve these kinds: install Istio's CustomResourceDefinitions, for example with 'isthmus install'",
        KubeException { Code: 404 } => "the API server does not serve these kinds: upgrade Kubernetes",
        KubeException { Code: 403 } =>
            "the control plane's account lacks the permission to list and watch these kinds: grant it, for example with 'isthmus install' (for a remote "
                + "cluster, with its remote secret's account)",
        KubeException { Code: 401 } => "the API server rejects the token: renew the credentials",
        KubeException refused => $"the API server refuses: {refused.Message}",
        HttpRequestException unreachable => $"the API server cannot be reached: {Unreachable.Describe(unreachable)}; check the address and the network",
        _ => $"the API server cannot be read: {error.InnerException?.Message ?? error.Message}; check the address and the network",
    };
}
