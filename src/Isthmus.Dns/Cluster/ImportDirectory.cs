using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Dns.Cluster;

/// <summary>A Service of the cluster set, as a ServiceImport describes it.</summary>
public sealed record ImportEntry(string Namespace, string Name, bool Headless, ValueList<IPAddress> Addresses, ValueList<PortEntry> Ports);

/// <summary>One ready address behind a Service of the cluster set.</summary>
/// <param name="Cluster">The cluster that exports it.</param>
public sealed record ImportedEndpoint(IPAddress Address, string Cluster, string Host, ValueList<PortEntry> Ports);

/// <summary>The data behind the names of a cluster set. Readers take no lock; imports and slices have one writer each.</summary>
public sealed class ImportDirectory
{
    private readonly ConcurrentDictionary<string, ImportEntry> _imports = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ImmutableDictionary<string, ImmutableArray<ImportedEndpoint>>> _endpoints = new(StringComparer.Ordinal);

    public ImportEntry? Find(string ns, string name) => _imports.GetValueOrDefault($"{ns}/{name}");

    public bool HasNamespace(string ns) => _imports.Values.Any(import => import.Namespace == ns);

    public IEnumerable<ImportedEndpoint> Endpoints(ImportEntry import) =>
        _endpoints.TryGetValue($"{import.Namespace}/{import.Name}", out var slices)
            ? slices.OrderBy(slice => slice.Key, StringComparer.Ordinal).SelectMany(slice => slice.Value)
            : [];

    /// <param name="key">Namespace and name.</param>
    public void Put(JsonObject? import, string key)
    {
        if (import is null)
        {
            _imports.TryRemove(key, out _);
            return;
        }
        var (meta, spec) = (import["metadata"], import["spec"]);
        var addresses = Items(spec?["ips"]).Select(ip => IPAddress.TryParse(ip?.ToString(), out var address) ? address : null).OfType<IPAddress>()
            .ToValueList();
        _imports[key] = new(meta?["namespace"]?.ToString() ?? "", meta?["name"]?.ToString() ?? "", spec?["type"]?.ToString() == "Headless", addresses,
            Items(spec?["ports"]).OfType<JsonObject>().Select(Port).OfType<PortEntry>().ToValueList());
    }

    public void Clear() => _imports.Clear();

    public void Put(EndpointSlice? now, EndpointSlice? before)
    {
        if (before is not null && KeyOf(before) is { } old && _endpoints.TryGetValue(old, out var slices))
            _endpoints[old] = slices.Remove(before.Metadata.Name);
        if (now is null || KeyOf(now) is not { } key) return;
        var ports = now.Ports.Where(port => port.Port is > 0 and < 65536)
            .Select(port => new PortEntry(port.Name.ToLowerInvariant(), port.Protocol.ToLowerInvariant(), (ushort)port.Port!.Value)).ToValueList();
        var cluster = now.Metadata.Labels.GetValueOrDefault(Labels.SourceCluster, "").ToLowerInvariant();
        var entries = now.Endpoints.Where(endpoint => endpoint.Conditions.Ready != false)
            .SelectMany(endpoint => endpoint.Addresses.Select(text => IPAddress.TryParse(text, out var address)
                ? new ImportedEndpoint(address, cluster, endpoint.Hostname.Length > 0 ? endpoint.Hostname.ToLowerInvariant() : ClusterDirectory.Dashed(address),
                    ports)
                : null))
            .OfType<ImportedEndpoint>().ToImmutableArray();
        _endpoints[key] = _endpoints.GetValueOrDefault(key, ImmutableDictionary<string, ImmutableArray<ImportedEndpoint>>.Empty)
            .SetItem(now.Metadata.Name, entries);
    }

    private static string? KeyOf(EndpointSlice slice) =>
        slice.Metadata.Labels.TryGetValue(Labels.ImportName, out var name) ? $"{slice.Metadata.Namespace}/{name}" : null;

    private static PortEntry? Port(JsonObject port) => ushort.TryParse(port["port"]?.ToString(), out var number)
        ? new((port["name"]?.ToString() ?? "").ToLowerInvariant(), (port["protocol"]?.ToString() ?? "TCP").ToLowerInvariant(), number) : null;

    private static IEnumerable<JsonNode?> Items(JsonNode? node) => node as JsonArray ?? [];
}
