using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Api;

/// <summary>What the node reads from its cluster, from copies that are kept up to date. A missing object is null.</summary>
internal interface IClusterView
{
    ConfigMap? ConfigMap(string ns, string name);

    Secret? Secret(string ns, string name);

    PersistentVolumeClaim? Claim(string ns, string name);

    IEnumerable<Service> Services();
}

/// <summary>A token of a ServiceAccount.</summary>
internal sealed record AccountToken(string Text, DateTimeOffset Expires);

/// <summary>The requests of the node to its API server. Failures are KubeException or HttpRequestException.</summary>
internal interface INodeApi : IClusterView
{
    Task<AccountToken> RequestTokenAsync(Pod pod, string audience, long expirationSeconds, CancellationToken stop);

    /// <summary>Replaces the Pod's status. False when the Pod with this UID no longer exists.</summary>
    Task<bool> WriteStatusAsync(Pod pod, JsonObject status, CancellationToken stop);

    /// <summary>Deletes the object of a terminating Pod whose containers have ended.</summary>
    Task RemoveAsync(Pod pod, CancellationToken stop);

    /// <summary>Whether any Service still sends new connections to this address.</summary>
    Task<bool> IsReadyEndpointAsync(string ns, string podIp, CancellationToken stop);

    Task WriteEventAsync(JsonObject value, CancellationToken stop);
}
