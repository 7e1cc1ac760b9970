using System.Net;
using Isthmus.Core.Net;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The Pod addresses of one node. It allocates them in turn, so that a released address is not reused at
/// once.</summary>
internal sealed class PodAddresses(Cidr range)
{
    // The first is the network's, the second customarily a gateway's, the last a broadcast.
    private readonly uint _first = Addresses.ToNumber(range.Base) + 2;
    private readonly uint _last = Addresses.ToNumber(range.Base) + (uint)((1L << (32 - range.PrefixLength)) - 2);
    private readonly HashSet<uint> _taken = [];
    private readonly Lock _guard = new(); // guards the set and the position: Pods start side by side
    private uint _next;

    /// <summary>Returns a free address, or null when all are taken.</summary>
    internal IPAddress? Take()
    {
        lock (_guard)
        {
            for (var tries = 0u; tries <= _last - _first; tries++)
            {
                var candidate = _first + (_next++ % (_last - _first + 1));
                if (_taken.Add(candidate)) return Addresses.FromNumber(candidate);
            }
            return null;
        }
    }

    /// <summary>Marks an address as taken by a Pod that an earlier node started.</summary>
    internal void Keep(IPAddress address)
    {
        lock (_guard)
        {
            var number = Addresses.ToNumber(address);
            _taken.Add(number);
            if (number >= _first && number <= _last) _next = Math.Max(_next, number - _first + 1);
        }
    }

    internal void Release(IPAddress address)
    {
        lock (_guard) _taken.Remove(Addresses.ToNumber(address));
    }
}
