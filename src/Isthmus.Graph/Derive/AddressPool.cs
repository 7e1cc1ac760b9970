using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Graph.Derive;

/// <summary>
/// The allocator's addresses of one family. A host keeps its address for the life of the table, even while it is gone; addresses of removed hosts
/// are reused only when all are given, longest gone first. Not thread-safe.
/// </summary>
internal sealed class AddressPool(IEnumerable<AllocationRange> ranges)
{
    private readonly List<AllocationRange> _ranges = [.. ranges];
    private readonly Dictionary<string, Address> _byHost = new(StringComparer.Ordinal);
    private readonly HashSet<Address> _given = [];
    private readonly HashSet<string> _needed = new(StringComparer.Ordinal);
    private readonly LinkedList<string> _gone = new();
    private readonly Dictionary<string, LinkedListNode<string>> _goneNodes = new(StringComparer.Ordinal);

    /// <summary>Counts changes.</summary>
    public long Revision { get; private set; }

    public bool Covers(Address address) => _ranges.Exists(range => range.IndexOf(address) is not null);

    public IEnumerable<KeyValuePair<string, Address>> Given => _byHost;

    public Address? Of(string host) => _byHost.TryGetValue(host, out var address) ? address : null;

    /// <param name="wanted">The hosts that need an address.</param>
    /// <param name="taken">What must not be given.</param>
    public void Reconcile(HashSet<string> wanted, IEnumerable<Address> taken)
    {
        var refused = taken.Where(IsUsable).ToHashSet();
        foreach (var host in _needed.Where(host => !wanted.Contains(host)).Order(StringComparer.Ordinal).ToList())
        {
            _needed.Remove(host);
            if (_byHost.ContainsKey(host)) _goneNodes[host] = _gone.AddLast(host);
        }
        // Before any is given, so that nobody gets the address of a host that is back.
        foreach (var host in wanted)
        {
            if (_needed.Add(host) && _goneNodes.Remove(host, out var node)) _gone.Remove(node);
        }
        // In order of name, so that the same hosts get the same addresses whatever order they arrive in.
        var free = _ranges.Aggregate(0UL, (sum, range) => sum + range.Usable) - (ulong)(_given.Count + refused.Count(address => !_given.Contains(address)));
        foreach (var host in wanted.Where(host => !_byHost.ContainsKey(host)).Order(StringComparer.Ordinal).ToList())
        {
            if (free == 0)
            {
                Reuse(host, refused);
                continue;
            }
            Give(host, refused);
            free--;
        }
    }

    /// <summary>Gives a host the address that it had; false if it cannot have it.</summary>
    public bool Restore(string host, Address address)
    {
        if (!IsUsable(address) || _given.Contains(address) || _byHost.ContainsKey(host)) return false;
        Take(host, address);
        _goneNodes[host] = _gone.AddLast(host);
        return true;
    }

    private bool IsUsable(Address address) => _ranges.Exists(range => range.IndexOf(address) is { } index && range.At(index) is not null);

    /// <summary>Gives a free address, of which there is one: probes from the hash of the name on, so that independent tables agree on most hosts.</summary>
    private void Give(string host, HashSet<Address> taken)
    {
        var size = _ranges.Aggregate(0UL, (sum, range) => sum + range.Size);
        var start = Hash(host) % size;
        for (ulong step = 0; step < size; step++)
        {
            if (At((start + step) % size) is not { } address || _given.Contains(address) || taken.Contains(address)) continue;
            Take(host, address);
            return;
        }
    }

    /// <summary>Gives the address of the host that is gone longest.</summary>
    private void Reuse(string host, HashSet<Address> taken)
    {
        while (_gone.First is { } oldest)
        {
            var address = _byHost[oldest.Value];
            Forget(oldest.Value);
            if (taken.Contains(address)) continue;
            Take(host, address);
            return;
        }
    }

    private Address? At(ulong index)
    {
        foreach (var range in _ranges)
        {
            if (index < range.Size) return range.At(index);
            index -= range.Size;
        }
        return null;
    }

    private void Take(string host, Address address)
    {
        _byHost[host] = address;
        _given.Add(address);
        Revision++;
    }

    private void Forget(string host)
    {
        if (_goneNodes.Remove(host, out var node)) _gone.Remove(node);
        if (!_byHost.Remove(host, out var address)) return;
        _given.Remove(address);
        Revision++;
    }

    private static uint Hash(string host)
    {
        var hash = 2166136261u;
        foreach (var b in Encoding.UTF8.GetBytes(host)) hash = (hash ^ b) * 16777619;
        return hash;
    }
}
