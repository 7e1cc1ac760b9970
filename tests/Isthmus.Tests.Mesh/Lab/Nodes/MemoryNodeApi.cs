using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;

namespace Isthmus.Tests.Mesh.Lab.Nodes;

/// <summary>A cluster made of a few dictionaries: what the node reads, and what it reported.</summary>
internal sealed class MemoryNodeApi : INodeApi
{
    private readonly Lock _guard = new();
    private int _readinessQuestions;

    internal ConcurrentDictionary<string, ConfigMap> ConfigMaps { get; } = new();

    internal ConcurrentDictionary<string, Secret> Secrets { get; } = new();

    internal ConcurrentDictionary<string, JsonObject> Statuses { get; } = new();

    internal ConcurrentBag<string> Removed { get; } = [];

    internal ConcurrentQueue<JsonObject> Events { get; } = [];

    internal ConcurrentDictionary<string, bool> ReadyAddresses { get; } = new();

    internal int Tokens { get; private set; }

    public ConfigMap? ConfigMap(string ns, string name) => ConfigMaps.GetValueOrDefault($"{ns}/{name}");

    public Secret? Secret(string ns, string name) => Secrets.GetValueOrDefault($"{ns}/{name}");

    public PersistentVolumeClaim? Claim(string ns, string name) => null;

    public IEnumerable<Service> Services() =>
    [
        new()
        {
            Metadata = new() { Name = "kubernetes", Namespace = "default" },
            Spec = new() { ClusterIP = "10.96.0.1", Ports = [new() { Name = "https", Port = 443 }] },
        },
    ];

    public Task<AccountToken> RequestTokenAsync(Pod pod, string audience, long expirationSeconds, CancellationToken stop)
    {
        lock (_guard) return Task.FromResult(new AccountToken($"token-{audience}-{++Tokens}", TimeProvider.System.GetUtcNow().AddSeconds(expirationSeconds)));
    }

    public Task<bool> WriteStatusAsync(Pod pod, JsonObject status, CancellationToken stop)
    {
        Statuses[pod.Metadata.Name] = (JsonObject)status.DeepClone();
        return Task.FromResult(true);
    }

    /// <summary>Runs before a Pod's object is removed, while what the node keeps of it still exists.</summary>
    internal Func<Task>? Removing { get; set; }

    public async Task RemoveAsync(Pod pod, CancellationToken stop)
    {
        if (Removing is { } removing) await removing();
        Removed.Add(pod.Metadata.Name);
    }

    /// <summary>How often the node asked whether anyone may still send traffic to one of its Pods.</summary>
    internal int ReadinessQuestions => _readinessQuestions;

    /// <summary>How many of the next queries for ready endpoints fail with an unexpected error.</summary>
    internal int UnexpectedFailures { get; set; }

    public Task<bool> IsReadyEndpointAsync(string ns, string podIp, CancellationToken stop)
    {
        Interlocked.Increment(ref _readinessQuestions);
        if (UnexpectedFailures-- > 0) throw new InvalidOperationException("nobody expects this");
        return Task.FromResult(ReadyAddresses.GetValueOrDefault(podIp));
    }

    public Task WriteEventAsync(JsonObject value, CancellationToken stop)
    {
        Events.Enqueue(value);
        return Task.CompletedTask;
    }
}
