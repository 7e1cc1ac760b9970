using System.Buffers.Binary;
using System.Net;
using System.Text;
using Isthmus.Core.Collections;

namespace Isthmus.ControlPlane.Derive;

/// <summary>
/// Owns 240.240.0.0/16 and allocates an address to each host that lacks one. A host keeps its address for the life of the table, even while
/// it is gone; addresses of removed hosts are reused only when the range is full, longest gone first. Not thread-safe.
/// </summary>
public sealed class AddressAllocator
{
    private const uint Base = 0xF0F00000; // 240.240.0.0
    private const uint Size = 1 << 16;
    private const int Usable = 256 * 254;

    private readonly Dictionary<string, uint> _byHost = new(StringComparer.Ordinal);
    private readonly Dictionary<uint, string> _byAddress = [];
    private readonly HashSet<string> _needed = new(StringComparer.Ordinal);
    private readonly LinkedList<string> _gone = new();
    private readonly Dictionary<string, LinkedListNode<string>> _goneNodes = new(StringComparer.Ordinal);

    /// <summary>Counts changes of the table; export the table when this differs.</summary>
    public long Revision { get; private set; }

    /// <summary>Allocates an address for every needed host, and returns those hosts' addresses. Hosts without one (range full) are absent.</summary>
    /// <param name="taken">Addresses that objects declare themselves: no host gets one of them. A host that has one already keeps it.</param>
    public ValueMap<string> Reconcile(IEnumerable<string> needed, IReadOnlySet<IPAddress> taken)
    {
        var wanted = needed.ToHashSet(StringComparer.Ordinal);
        foreach (var host in _needed.Where(host => !wanted.Contains(host)).Order(StringComparer.Ordinal).ToList())
        {
            _needed.Remove(host);
            _goneNodes[host] = _gone.AddLast(host);
        }
        // In order of name, so that the same hosts get the same addresses whatever order they arrive in.
        foreach (var host in wanted.Where(host => !_needed.Contains(host)).Order(StringComparer.Ordinal).ToList())
        {
            _needed.Add(host);
            if (_goneNodes.Remove(host, out var node)) _gone.Remove(node);
            if (!_byHost.ContainsKey(host)) Give(host, taken);
        }
        return _needed.Where(_byHost.ContainsKey).Select(host => KeyValuePair.Create(host, Address(_byHost[host]).ToString())).ToValueMap();
    }

    /// <summary>The table as the data of a ConfigMap: host → address, never a wildcard.</summary>
    public ValueMap<string> Export() => _byHost.Select(item => KeyValuePair.Create(item.Key, Address(item.Value).ToString())).ToValueMap();

    /// <summary>Imports a table at startup. Entries that are outside the range, or duplicates, are skipped and counted.</summary>
    public int Import(IReadOnlyDictionary<string, string> table)
    {
        var refused = 0;
        foreach (var (host, text) in table.OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            if (!IPAddress.TryParse(text, out var ip) || ip.GetAddressBytes() is not { Length: 4 } bytes
                || BinaryPrimitives.ReadUInt32BigEndian(bytes) - Base is var offset && !IsUsable(offset) || _byAddress.ContainsKey(offset)
                || _byHost.ContainsKey(host))
            {
                refused++;
                continue;
            }
            _byHost[host] = offset;
            _byAddress[offset] = host;
            _goneNodes[host] = _gone.AddLast(host);
        }
        Revision++;
        return refused;
    }

    /// <summary>Probes from the hash of the name on, so that independent tables agree on most hosts.</summary>
    private void Give(string host, IReadOnlySet<IPAddress> taken)
    {
        var start = Hash(host);
        for (uint step = 0; step < Size && _byAddress.Count + taken.Count < Usable; step++)
        {
            var offset = (start + step) % Size;
            if (!IsUsable(offset) || _byAddress.ContainsKey(offset) || taken.Contains(Address(offset))) continue;
            Take(host, offset);
            return;
        }
        while (_gone.First is { } oldest)
        {
            var offset = _byHost[oldest.Value];
            Forget(oldest.Value);
            if (taken.Contains(Address(offset))) continue;
            Take(host, offset);
            return;
        }
    }

    private void Take(string host, uint offset)
    {
        _byHost[host] = offset;
        _byAddress[offset] = host;
        Revision++;
    }

    private void Forget(string host)
    {
        if (_goneNodes.Remove(host, out var node)) _gone.Remove(node);
        if (!_byHost.Remove(host, out var offset)) return;
        _byAddress.Remove(offset);
        Revision++;
    }

    /// <summary>Some programs treat addresses that end in .0 or .255 as network or broadcast addresses.</summary>
    private static bool IsUsable(uint offset) => offset < Size && (offset & 0xFF) is not (0 or 0xFF);

    private static IPAddress Address(uint offset)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Base + offset);
        return new(bytes);
    }

    private static uint Hash(string host)
    {
        var hash = 2166136261u;
        foreach (var b in Encoding.UTF8.GetBytes(host)) hash = (hash ^ b) * 16777619;
        return hash % Size;
    }
}
