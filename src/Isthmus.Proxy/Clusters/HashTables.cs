using System.Globalization;
using System.Text;

namespace Isthmus.Proxy.Clusters;

/// <summary>How a cluster arranges its hosts for consistent hashing: on a ring or, with a table size, as Maglev does.</summary>
internal sealed record HashSettings(ulong MinimumRing, ulong MaximumRing, int MaglevSize)
{
    public static readonly HashSettings Ring = new(1024, 8 * 1024 * 1024, 0);

    /// <param name="hosts">The hosts with their shares of the requests, whose sum is 1.</param>
    public HashTable Arrange(IReadOnlyList<(Host Host, double Share)> hosts) =>
        MaglevSize > 0 ? HashTable.Maglev(hosts, MaglevSize) : HashTable.Ring(hosts, MinimumRing, MaximumRing);
}

/// <summary>Hosts arranged by Envoy's algorithms, so that a key leads to the same host from every proxy.</summary>
internal sealed class HashTable
{
    private readonly ulong[]? _points; // of a ring
    private readonly Host[] _slots;

    private HashTable(Host[] hosts, ulong[]? points, Host[] slots)
    {
        Hosts = hosts;
        _points = points;
        _slots = slots;
    }

    public Host[] Hosts { get; }

    /// <summary>The host of a key; if it may not be used, the next one that Envoy would try.</summary>
    public Host? Pick(ulong key, PickInputs inputs, bool avoidable, bool triable) => Walk(key, new(inputs, avoidable, triable, MustBeUsable: true));

    /// <summary>The host of a key, whatever its health; one that the request has not tried, if there is one.</summary>
    public Host PickAny(ulong key, PickInputs inputs) => Walk(key, new(inputs, false, false, MustBeUsable: false)) ?? Slot(key, 0);

    private Host? Walk(ulong key, in Choice choice)
    {
        if (First(choice) is not { } first) return null;
        // Maglev's attempts jump about and may miss a host for long.
        for (var attempt = 0; attempt <= _slots.Length; attempt++)
        {
            var host = Slot(key, attempt);
            if (choice.Allows(host)) return host;
        }
        return first;
    }

    private Host? First(in Choice choice)
    {
        foreach (var host in Hosts)
            if (choice.Allows(host)) return host;
        return null;
    }

    /// <summary>Which hosts a key may get. A delegate would be an object for each pick.</summary>
    private readonly record struct Choice(PickInputs Inputs, bool Avoidable, bool Triable, bool MustBeUsable)
    {
        public bool Allows(Host host) => MustBeUsable ? HostSet.IsUsable(host, Inputs, Avoidable, Triable) : !HostSet.IsTried(Inputs, host);
    }

    private Host Slot(ulong key, int attempt) =>
        _slots[_points is null
            ? (int)((attempt == 0 ? key : key ^ (ulong)-attempt) % (ulong)_slots.Length)
            : (int)(((long)Find(key) + attempt) % _slots.Length)];

    /// <summary>The first point at or after the key; behind the last, the ring begins again.</summary>
    private int Find(ulong key)
    {
        var (low, high) = (0, _points!.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_points[middle] < key) low = middle + 1;
            else high = middle;
        }
        return low == _points.Length ? 0 : low;
    }

    /// <summary>Envoy's ring (ketama): each host has points in proportion to its share, the smallest a whole number of them.</summary>
    public static HashTable Ring(IReadOnlyList<(Host Host, double Share)> hosts, ulong minimum, ulong maximum)
    {
        var least = hosts.Min(host => host.Share);
        var scale = Math.Min(Math.Ceiling(least * minimum) / least, maximum);
        var points = new List<ulong>((int)Math.Ceiling(scale) + 1);
        var slots = new List<Host>(points.Capacity);
        var (current, target) = (0.0, 0.0);
        Span<byte> key = stackalloc byte[512];
        foreach (var (host, share) in hosts)
        {
            var length = Encoding.UTF8.GetBytes(host.Endpoint.AddressText, key[..480]);
            key[length++] = (byte)'_';
            target += scale * share;
            for (var i = 0; current < target; i++, current++)
            {
                i.TryFormat(key[length..], out var digits, provider: CultureInfo.InvariantCulture);
                points.Add(XxHash64.Of(key[..(length + digits)]));
                slots.Add(host);
            }
        }
        var (sorted, owners) = (points.ToArray(), slots.ToArray());
        Array.Sort(sorted, owners);
        return new([.. hosts.Select(host => host.Host)], sorted, owners);
    }

    /// <summary>Maglev's table as Envoy fills it: hosts in the order of their addresses take turns, as often as their shares allow.</summary>
    public static HashTable Maglev(IReadOnlyList<(Host Host, double Share)> hosts, int size)
    {
        var builds = hosts.Select(host => new MaglevBuild(host.Host, host.Share, size)).OrderBy(build => build.Key, StringComparer.Ordinal).ToArray();
        var most = hosts.Max(host => host.Share);
        var slots = new Host[size];
        var filled = 0;
        for (var turn = 1; filled < size; turn++)
        {
            foreach (var build in builds)
            {
                if (filled == size) break;
                if (turn * build.Share < build.Target) continue;
                build.Target += most;
                slots[build.Next(slots)] = build.Host;
                filled++;
            }
        }
        return new([.. hosts.Select(host => host.Host)], null, slots);
    }

    /// <summary>A host's own order of the slots of a Maglev table.</summary>
    private sealed class MaglevBuild(Host host, double share, int size)
    {
        private readonly ulong _offset = XxHash64.Of(host.Endpoint.AddressText) % (ulong)size;
        private readonly ulong _skip = (XxHash64.Of(host.Endpoint.AddressText, 1) % (ulong)(size - 1)) + 1;
        private ulong _next;

        public string Key { get; } = host.Endpoint.AddressText;

        public Host Host => host;

        public double Share => share;

        public double Target { get; set; }

        public int Next(Host[] slots)
        {
            while (true)
            {
                var slot = (int)((_offset + (_skip * _next++)) % (ulong)size);
                if (slots[slot] is null) return slot;
            }
        }
    }
}
