using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Dns.Cluster;

/// <summary>The parts of a Service that its names need.</summary>
public sealed record ServiceEntry(string Namespace, string Name, ValueList<IPAddress> Addresses, bool Headless, string ExternalName, ValueList<PortEntry> Ports)
{
    public string Key => $"{Namespace}/{Name}";
}

public sealed record PortEntry(string Name, string Protocol, ushort Number);

/// <summary>One ready address behind a Service.</summary>
/// <param name="Host">The label before the Service's name: the host name of the Pod, or its address with dashes.</param>
public sealed record EndpointEntry(IPAddress Address, string Host, ValueList<PortEntry> Ports);

/// <summary>The data behind the cluster's names. Readers take no lock; each kind has one writer at a time.</summary>
public sealed class ClusterDirectory(bool endpointPodNames)
{
    private readonly ConcurrentDictionary<string, ServiceEntry> _services = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ImmutableDictionary<string, ImmutableArray<EndpointEntry>>> _endpoints = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<IPAddress, string> _serviceOf = new();
    private readonly ConcurrentDictionary<IPAddress, ImmutableDictionary<string, string>> _hostsOf = new();
    private readonly ConcurrentDictionary<string, byte> _namespaces = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Namespace, IPAddress Address), int> _pods = new();
    private readonly Lock _slices = new(); // guards changes of _endpoints and _hostsOf

    public ServiceEntry? Service(string ns, string name) => _services.GetValueOrDefault($"{ns}/{name}");

    public bool HasNamespace(string ns) => _namespaces.ContainsKey(ns);

    public bool HasPod(string ns, IPAddress address) => _pods.ContainsKey((ns, address));

    public IEnumerable<EndpointEntry> Endpoints(ServiceEntry service) =>
        _endpoints.TryGetValue(service.Key, out var slices) ? slices.Values.SelectMany(entries => entries) : [];

    /// <summary>The Service whose ClusterIP this is.</summary>
    public ServiceEntry? ServiceAt(IPAddress address) => _serviceOf.TryGetValue(address, out var key) ? _services.GetValueOrDefault(key) : null;

    /// <summary>The Services that have this address among their endpoints, with the label under which they know it.</summary>
    public IEnumerable<(ServiceEntry Service, string Host)> EndpointsAt(IPAddress address)
    {
        if (!_hostsOf.TryGetValue(address, out var hosts)) yield break;
        foreach (var (key, host) in hosts.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            if (_services.TryGetValue(key, out var service)) yield return (service, host);
    }

    public void Put(Namespace? now, string name)
    {
        if (now is null) _namespaces.TryRemove(name, out _);
        else _namespaces[name] = 0;
    }

    public void Put(Pod? now, Pod? before)
    {
        foreach (var ip in Addresses(before)) _pods.AddOrUpdate((before!.Metadata.Namespace, ip), 0, (_, count) => count - 1);
        foreach (var ip in Addresses(now)) _pods.AddOrUpdate((now!.Metadata.Namespace, ip), 1, (_, count) => count + 1);
        foreach (var ip in Addresses(before)) ((ICollection<KeyValuePair<(string, IPAddress), int>>)_pods).Remove(new((before!.Metadata.Namespace, ip), 0));
    }

    public void Put(Service? now, string key)
    {
        if (_services.TryGetValue(key, out var old))
            foreach (var address in old.Addresses) _serviceOf.TryRemove(new(address, key));
        if (now is null)
        {
            _services.TryRemove(key, out _);
            return;
        }
        var addresses = now.Spec.ClusterIPs.Append(now.Spec.ClusterIP).Distinct()
            .Select(text => IPAddress.TryParse(text, out var address) ? address : null).OfType<IPAddress>().ToValueList();
        var ports = now.Spec.Ports.Select(port => new PortEntry(port.Name.ToLowerInvariant(), port.Protocol.ToLowerInvariant(), (ushort)port.Port))
            .ToValueList();
        _services[key] = new(now.Metadata.Namespace, now.Metadata.Name, addresses, now.Spec.ClusterIP == "None" || now.Spec.ClusterIPs.Contains("None"),
            now.Spec.Type == "ExternalName" ? now.Spec.ExternalName.TrimEnd('.') : "", ports);
        foreach (var address in addresses) _serviceOf[address] = key;
    }

    public void Put(EndpointSlice? now, EndpointSlice? before)
    {
        lock (_slices)
        {
            if (before is not null && ServiceKey(before) is { } old) Remove(old, before.Metadata.Name);
            if (now is not null && ServiceKey(now) is { } key) Add(key, now);
        }
    }

    private void Remove(string key, string slice)
    {
        if (!_endpoints.TryGetValue(key, out var slices) || !slices.TryGetValue(slice, out var entries)) return;
        slices = slices.Remove(slice);
        if (slices.IsEmpty) _endpoints.TryRemove(key, out _);
        else _endpoints[key] = slices;
        foreach (var entry in entries)
        {
            if (!_hostsOf.TryGetValue(entry.Address, out var hosts)) continue;
            hosts = hosts.Remove(key);
            if (hosts.IsEmpty) _hostsOf.TryRemove(entry.Address, out _);
            else _hostsOf[entry.Address] = hosts;
        }
    }

    private void Add(string key, EndpointSlice slice)
    {
        var ports = slice.Ports.Where(port => port.Port is > 0 and < 65536)
            .Select(port => new PortEntry(port.Name.ToLowerInvariant(), port.Protocol.ToLowerInvariant(), (ushort)port.Port!.Value)).ToValueList();
        var entries = ImmutableArray.CreateBuilder<EndpointEntry>();
        foreach (var endpoint in slice.Endpoints)
        {
            // As specified: an endpoint without a ready condition is ready.
            if (endpoint.Conditions.Ready == false) continue;
            foreach (var text in endpoint.Addresses)
                if (IPAddress.TryParse(text, out var address)) entries.Add(new(address, Host(endpoint, address), ports));
        }
        _endpoints[key] = _endpoints.GetValueOrDefault(key, ImmutableDictionary<string, ImmutableArray<EndpointEntry>>.Empty)
            .SetItem(slice.Metadata.Name, entries.ToImmutable());
        foreach (var entry in entries)
            _hostsOf[entry.Address] = _hostsOf.GetValueOrDefault(entry.Address, ImmutableDictionary<string, string>.Empty).SetItem(key, entry.Host);
    }

    private string Host(SliceEndpoint endpoint, IPAddress address) =>
        endpoint.Hostname.Length > 0 ? endpoint.Hostname.ToLowerInvariant()
        : endpointPodNames && endpoint.TargetRef is { Kind: "Pod", Name.Length: > 0 } pod ? pod.Name
        : Dashed(address);

    /// <summary><c>10-244-0-7</c>, <c>2001-db8--1</c>.</summary>
    public static string Dashed(IPAddress address) => address.ToString().Replace('.', '-').Replace(':', '-');

    private static string? ServiceKey(EndpointSlice slice) =>
        slice.Metadata.Labels.TryGetValue(Labels.ServiceName, out var name) ? $"{slice.Metadata.Namespace}/{name}" : null;

    private static IEnumerable<IPAddress> Addresses(Pod? pod) => pod is null || pod.Spec.HostNetwork || pod.Status.Phase is "Succeeded" or "Failed" ? []
        : pod.Status.PodIPs.Select(ip => ip.Ip).Append(pod.Status.PodIP).Distinct().Select(ip => IPAddress.TryParse(ip, out var address) ? address : null)
            .OfType<IPAddress>();
}
