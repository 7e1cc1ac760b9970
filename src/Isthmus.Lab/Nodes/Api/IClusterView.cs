using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Api;

/// <summary>What the node reads of its cluster, from copies that are kept up to date; an object that is not there is null.</summary>
internal interface IClusterView
{
    ConfigMap? ConfigMap(string ns, string name);

    Secret? Secret(string ns, string name);

    PersistentVolumeClaim? Claim(string ns, string name);

    IEnumerable<Service> Services();
}

/// <summary>A token of a ServiceAccount.</summary>
internal sealed record AccountToken(string Text, DateTimeOffset Expires);

/// <summary>What the node asks of its API server or tells it. Failures are KubeException or HttpRequestException.</summary>
internal interface INodeApi : IClusterView
{
    Task<AccountToken> RequestTokenAsync(Pod pod, string audience, long expirationSeconds, CancellationToken stop);

    /// <summary>Replaces the Pod's status as seen by the node. False when that Pod (by UID) is no more.</summary>
    Task<bool> WriteStatusAsync(Pod pod, JsonObject status, CancellationToken stop);

    /// <summary>Ends a terminating Pod: its containers are gone.</summary>
    Task RemoveAsync(Pod pod, CancellationToken stop);

    /// <summary>Whether any Service still sends new connections to this address.</summary>
    Task<bool> IsReadyEndpointAsync(string ns, string podIp, CancellationToken stop);

    Task WriteEventAsync(JsonObject value, CancellationToken stop);
}
