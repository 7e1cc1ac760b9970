using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// In a remote cluster that reaches its control plane by a host name: keeps the name's addresses behind the Service through which proxies
/// and the API server call it. An ExternalName does not work: API servers do not call webhooks through one, and it maps no ports.
/// </summary>
public sealed partial class ControlPlaneAddress(KubeClient client, string ns, INameClient names, TimeProvider time, ILogger log)
{
    /// <summary>Who writes these EndpointSlices (<see cref="Labels.SliceManager"/>): the controllers of Kubernetes leave them alone.</summary>
    public const string Manager = "isthmus";

    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ShortestLife = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestLife = TimeSpan.FromHours(1);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Exception> _failed = new(StringComparer.Ordinal);
    private volatile WatchedList<Service>? _services;

    /// <summary>The last error that has not been resolved; null when there is none.</summary>
    public Exception? LastError => _services?.Informer.LastError ?? _failed.Values.FirstOrDefault();

    public async Task RunAsync(CancellationToken stop)
    {
        _failed.Clear();
        var changed = new Signal();
        var services = _services = new WatchedList<Service>(client, Kinds.Service,
            new InformerSettings { Namespace = ns, LabelSelector = $"app={WellKnown.Istiod}" }, time).Listen(_ => changed.Tell());
        await Task.WhenAll(services.RunAsync(stop), FollowAsync(services, changed, stop));
    }

    /// <summary>The EndpointSlices of such a Service, one for each IP family: every port of the Service at every address. They are named as in Istio.</summary>
    public static IReadOnlyList<JsonObject> Slices(JsonObject service, ValueList<string> addresses)
    {
        var metadata = service["metadata"]!;
        var ports = (service["spec"]!["ports"] as JsonArray ?? []).Select(port => new JsonObject
        {
            ["name"] = port!["name"]?.DeepClone(), ["port"] = (port["targetPort"] ?? port["port"])!.DeepClone(), ["protocol"] = "TCP",
        }).ToList();
        return [.. addresses.GroupBy(IsV6).OrderBy(family => family.Key).Select(family => Slice(metadata, family.Key, [.. family], ports))];
    }

    /// <summary>Gives such a Service its addresses, and takes those away that it had: also those of Endpoints, which an earlier version wrote.</summary>
    /// <returns>Whether there was anything to write.</returns>
    public static async Task<bool> WriteAsync(KubeClient client, JsonObject service, ValueList<string> addresses, CancellationToken stop)
    {
        var (ns, name, written) = (service["metadata"]!["namespace"]!.ToString(), service["metadata"]!["name"]!.ToString(), false);
        var wanted = Slices(service, addresses).ToDictionary(slice => slice["metadata"]!["name"]!.ToString(), StringComparer.Ordinal);
        foreach (var slice in (string[])[name, V6(name)])
        {
            var present = await client.FindAsync(Kinds.EndpointSlice, ns, slice, stop);
            if (!wanted.TryGetValue(slice, out var now))
            {
                if (present?["metadata"]?["labels"]?[Labels.SliceManager]?.ToString() == Manager)
                    await client.DeleteAsync(Kinds.EndpointSlice, ns, slice, stop);
            }
            else if (!Addresses(present).SequenceEqual(Addresses(now), StringComparer.Ordinal))
            {
                await client.ApplyAsync(Kinds.EndpointSlice, now, stop);
                written = true;
            }
        }
        if (await client.FindAsync(Kinds.Endpoints, ns, name, stop) is not null) await client.DeleteAsync(Kinds.Endpoints, ns, name, stop);
        return written;
    }

    private static JsonObject Slice(JsonNode service, bool v6, IReadOnlyList<string> addresses, IReadOnlyList<JsonObject> ports)
    {
        var name = service["name"]!.ToString();
        var labels = service["labels"]?.DeepClone() ?? new JsonObject();
        (labels[Labels.ServiceName], labels[Labels.SliceManager]) = (name, Manager);
        return new()
        {
            ["apiVersion"] = "discovery.k8s.io/v1",
            ["kind"] = "EndpointSlice",
            ["metadata"] = new JsonObject { ["name"] = v6 ? V6(name) : name, ["namespace"] = service["namespace"]!.DeepClone(), ["labels"] = labels },
            ["addressType"] = v6 ? "IPv6" : "IPv4",
            ["endpoints"] = new JsonArray([.. addresses.Select(address => (JsonNode)new JsonObject { ["addresses"] = new JsonArray(address) })]),
            ["ports"] = new JsonArray([.. ports.Select(port => port.DeepClone())]),
        };
    }

    /// <summary>The family of a slice never changes, so each has a name of its own.</summary>
    private static string V6(string name) => $"{name}-ipv6";

    private static bool IsV6(string address) => address.Contains(':', StringComparison.Ordinal);

    private async Task FollowAsync(WatchedList<Service> services, Signal changed, CancellationToken stop)
    {
        var due = new Dictionary<string, (string Host, DateTimeOffset At)>(StringComparer.Ordinal);
        try
        {
            while (true)
            {
                // Most clusters have no such Service.
                if (due.Count == 0) await changed.NextAsync(stop);
                await Task.Delay(Tick, time, stop);
                foreach (var service in services.Items)
                {
                    var host = service.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneHost) ?? "";
                    if (host.Length == 0 || (due.TryGetValue(service.Key, out var last) && last.Host == host && last.At > time.GetUtcNow())) continue;
                    due[service.Key] = (host, time.GetUtcNow() + await UpdateAsync(service.Metadata.Name, service.Key, host, stop));
                }
                foreach (var gone in due.Keys.Where(key => services.Find(key) is null).ToList())
                {
                    due.Remove(gone);
                    _failed.TryRemove(gone, out _);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    /// <summary>When to resolve again. A name that cannot be resolved keeps its last addresses.</summary>
    private async Task<TimeSpan> UpdateAsync(string name, string key, string host, CancellationToken stop)
    {
        var answer = await names.AskAsync(host, stop);
        if (answer.Addresses.IsEmpty)
        {
            Fail(key, host, new IOException($"the control plane's host name {host} cannot be resolved: {answer.Error}"));
            return Retry;
        }
        try
        {
            if (await client.FindAsync(Kinds.Service, ns, name, stop) is not { } service) return Retry;
            if (await WriteAsync(client, service, answer.Addresses, stop)) Written(log, client.Access.Name, host, string.Join(", ", answer.Addresses));
            _failed.TryRemove(key, out _);
            return answer.Life < ShortestLife ? ShortestLife : answer.Life > LongestLife ? LongestLife : answer.Life;
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException
            || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            Fail(key, host, e);
            return Retry;
        }
    }

    private static IEnumerable<string> Addresses(JsonObject? slice) => (slice?["endpoints"] as JsonArray ?? [])
        .SelectMany(endpoint => endpoint?["addresses"] as JsonArray ?? []).Select(address => address?.ToString() ?? "").Order(StringComparer.Ordinal);

    private void Fail(string key, string host, Exception error)
    {
        if (!_failed.TryGetValue(key, out var known) || known.Message != error.Message) NotWritten(log, client.Access.Name, host, error.Message);
        _failed[key] = error;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Cluster} reaches this control plane as {Host} at {Addresses}")]
    private static partial void Written(ILogger log, string cluster, string host, string addresses);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The addresses of {Host}, by which cluster {Cluster} reaches this control plane, could not be updated: {Error}")]
    private static partial void NotWritten(ILogger log, string cluster, string host, string error);
}
