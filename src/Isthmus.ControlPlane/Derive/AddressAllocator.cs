using System.Buffers.Binary;
using System.Net;
using System.Text;
using Isthmus.Core.Collections;

namespace Isthmus.ControlPlane.Derive;

/// <summary>
/// Owns 240.240.0.0/16: gives hosts that lack an address one of it. A host keeps its address for as long as the table lives, also while
/// it is away; only when the range is full are addresses of hosts that are gone given again, longest gone first. Not thread-safe.
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

    /// <summary>Counts changes of the table: export it when this moved.</summary>
    public long Revision { get; private set; }

    public int Count => _byHost.Count;

    /// <summary>Makes the table hold an address for every needed host, and returns those hosts' addresses. Hosts that got none (range full) are absent.</summary>
    /// <param name="taken">Addresses that objects name themselves; they are never given.</param>
    public ValueMap<string> Reconcile(IEnumerable<string> needed, IReadOnlySet<IPAddress> taken)
    {
        var wanted = needed.ToHashSet(StringComparer.Ordinal);
        foreach (var host in _needed.Where(host => !wanted.Contains(host)).Order(StringComparer.Ordinal).ToList())
        {
            _needed.Remove(host);
            _goneNodes[host] = _gone.AddLast(host);
        }
        // In order of name, so that the same hosts get the same addresses whatever order they came in.
        foreach (var host in wanted.Where(host => !_needed.Contains(host)).Order(StringComparer.Ordinal).ToList())
        {
            _needed.Add(host);
            if (_goneNodes.Remove(host, out var node)) _gone.Remove(node);
            if (_byHost.TryGetValue(host, out var kept) && !taken.Contains(Address(kept))) continue;
            Forget(host);
            Give(host, taken);
        }
        return _needed.Where(_byHost.ContainsKey).Select(host => KeyValuePair.Create(host, Address(_byHost[host]).ToString())).ToValueMap();
    }

    /// <summary>The table as the data of a ConfigMap: host → address, wildcards never among them.</summary>
    public ValueMap<string> Export() => _byHost.Select(item => KeyValuePair.Create(item.Key, Address(item.Value).ToString())).ToValueMap();

    /// <summary>Takes a table over at the start. Entries that are no address of the range, or twice the same, are left out and counted.</summary>
    public int Import(IReadOnlyDictionary<string, string> table)
    {
        var refused = 0;
        foreach (var (host, text) in table.OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            if (!IPAddress.TryParse(text, out var ip) || ip.GetAddressBytes() is not { Length: 4 } bytes
                || BinaryPrimitives.ReadUInt32BigEndian(bytes) - Base is var offset && !IsUsable(offset) || _byAddress.ContainsKey(offset) || _byHost.ContainsKey(host))
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

    /// <summary>Starts where the name's hash says and walks on, so that tables that were made apart agree on most hosts.</summary>
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

    /// <summary>Addresses that end in .0 or .255 look like networks and broadcasts to some programs.</summary>
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
