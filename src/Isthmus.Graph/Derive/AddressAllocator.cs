using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Graph.Derive;

/// <summary>
/// Owns ranges of addresses, and allocates one of each of their families to each host that lacks an address. Not thread-safe.
/// </summary>
public sealed class AddressAllocator
{
    /// <summary>Reserved, so that it is never routed.</summary>
    public static readonly ValueList<Cidr> DefaultRanges = [Cidr.Parse("240.240.0.0/16")];

    /// <summary>One for each family, IPv4 first.</summary>
    private readonly List<AddressPool> _pools;

    private long _imports;

    public AddressAllocator() : this(DefaultRanges)
    {
    }

    /// <exception cref="ProblemException">A range cannot be used.</exception>
    public AddressAllocator(ValueList<Cidr> ranges)
    {
        Ranges = ranges;
        _pools = [.. AllocationRange.Check(ranges).Zip(ranges).GroupBy(range => range.Second.Base.AddressFamily)
            .OrderBy(family => family.Key != AddressFamily.InterNetwork).Select(family => new AddressPool(family.Select(range => range.First)))];
    }

    public ValueList<Cidr> Ranges { get; }

    /// <summary>Counts changes of the table; export the table when this differs.</summary>
    public long Revision => _imports + _pools.Sum(pool => pool.Revision);

    /// <summary>Whether it could give an address.</summary>
    public bool Covers(Address address) => _pools.Exists(pool => pool.Covers(address));

    /// <summary>Allocates addresses for every needed host, and returns those hosts' addresses. Hosts without any (ranges full) are absent.</summary>
    /// <param name="taken">Addresses that objects declare themselves: no host gets one of them. A host that has one already keeps it.</param>
    public ValueMap<ValueList<Address>> Reconcile(IEnumerable<string> needed, IReadOnlySet<Address> taken)
    {
        var wanted = needed.ToHashSet(StringComparer.Ordinal);
        foreach (var pool in _pools) pool.Reconcile(wanted, taken);
        return wanted.Select(host => KeyValuePair.Create(host, Of(host))).Where(item => !item.Value.IsEmpty).ToValueMap();
    }

    /// <summary>The table as the data of a ConfigMap: host → addresses, separated by commas; never a wildcard.</summary>
    public ValueMap<string> Export() => _pools.SelectMany(pool => pool.Given).GroupBy(item => item.Key, StringComparer.Ordinal)
        .Select(host => KeyValuePair.Create(host.Key, string.Join(',', host.Select(item => item.Value)))).ToValueMap();

    /// <summary>Imports a table at startup. Addresses that are outside the ranges, or duplicates, are skipped and counted.</summary>
    public int Import(IReadOnlyDictionary<string, string> table)
    {
        var refused = 0;
        foreach (var (host, texts) in table.OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            foreach (var text in texts.Split(','))
            {
                if (!Address.TryParse(text, out var address) || !_pools.Exists(pool => pool.Restore(host, address))) refused++;
            }
        }
        _imports++;
        return refused;
    }

    private ValueList<Address> Of(string host) => _pools.Select(pool => pool.Of(host)).OfType<Address>().ToValueList();
}
