using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;

namespace Isthmus.WebConsole.Traffic;

/// <summary>The endpoints that callers' proxies have for the services that they call: the way that calls really take.</summary>
/// <param name="clients">The client of a cluster, by its context.</param>
internal sealed class ChosenEndpoints(Func<string, KubeClient> clients)
{
    private const int AtOnce = 8;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<Party, IReadOnlyDictionary<string, IReadOnlyList<string>>> _known = new();

    /// <summary>The addresses for calls of a service; null when the proxy was not asked, or has no such service.</summary>
    public IReadOnlyList<string>? Of(Party caller, Party service) =>
        _known.TryGetValue(caller, out var services) ? services.GetValueOrDefault($"{service.Name}.{service.Namespace}") : null;

    /// <summary>Whether this caller's proxy answered.</summary>
    public bool Knows(Party caller) => _known.ContainsKey(caller);

    /// <summary>Asks the proxy of each caller, and forgets all other callers. One that does not answer keeps its last answer.</summary>
    public async Task AskAsync(IReadOnlyDictionary<Party, ProxyPlace> callers, CancellationToken stop)
    {
        foreach (var gone in _known.Keys.Where(caller => !callers.ContainsKey(caller)).ToList()) _known.TryRemove(gone, out _);
        foreach (var some in callers.Chunk(AtOnce)) await Task.WhenAll(some.Select(caller => AskAsync(caller.Key, caller.Value, stop)));
    }

    private async Task AskAsync(Party caller, ProxyPlace place, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(Patience);
        try
        {
            await clients(place.Access.Name).Pods.GetAsync(place.Namespace, place.Pod, Ports.ProxyAdmin, "clusters?format=json",
                async (body, ending) => _known[caller] = Read(await JsonSerializer.DeserializeAsync(body, AdminJson.Default.ClusterPage, ending)),
                patience.Token);
        }
        catch (Exception e) when (e is HttpRequestException or KubeException or IOException or JsonException or OperationCanceledException
            && !stop.IsCancellationRequested)
        {
            // The page shows the proxy as one that does not answer: its metrics are asked more often.
        }
    }

    /// <summary>The addresses by NAME.NAMESPACE of the service.</summary>
    internal static IReadOnlyDictionary<string, IReadOnlyList<string>> Read(ClusterPage? page)
    {
        var found = new Dictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        foreach (var cluster in page?.ClusterStatuses ?? [])
        {
            // outbound|PORT|SUBSET|HOST
            if (cluster.Name.Split('|') is not ["outbound", _, _, var host] || host.Split('.') is not [var name, var ns, "svc", ..]) continue;
            if (!found.TryGetValue($"{name}.{ns}", out var addresses)) found[$"{name}.{ns}"] = addresses = new(StringComparer.Ordinal);
            addresses.UnionWith((cluster.HostStatuses ?? []).Select(one => one.Address?.Place).OfType<string>());
        }
        return found.ToDictionary(pair => pair.Key, pair => (IReadOnlyList<string>)[.. pair.Value], StringComparer.Ordinal);
    }
}

/// <summary>What is needed of the admin interface's <c>/clusters</c>.</summary>
internal sealed record ClusterPage(IReadOnlyList<ClusterLine>? ClusterStatuses);

internal sealed record ClusterLine(string Name, IReadOnlyList<HostLine>? HostStatuses);

internal sealed record HostLine(HostAddress? Address);

internal sealed record HostAddress(SocketLine? SocketAddress, InternalLine? EnvoyInternalAddress = null)
{
    /// <summary>The IP address, also at the end of a tunnel; null: it has none.</summary>
    public string? Place => SocketAddress?.Address
        ?? (EnvoyInternalAddress?.EndpointId is { } id && id.LastIndexOf(':') is > 0 and var colon ? id[..colon].Trim('[', ']') : null);
}

internal sealed record InternalLine(string? EndpointId);

internal sealed record SocketLine(string? Address);

/// <summary>Answers of the admin interface, without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ClusterPage))]
internal sealed partial class AdminJson : JsonSerializerContext;
