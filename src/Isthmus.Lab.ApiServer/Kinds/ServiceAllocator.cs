using System.Net;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>
/// Allocates ClusterIPs and node ports. Those in use are read from the store, so nothing can leak. Only reservations of running writes are
/// kept here.
/// </summary>
internal sealed class ServiceAllocator(IObjectStore store, string range, Random random)
{
    public const int FirstNodePort = 30000;
    public const int LastNodePort = 32767;

    /// <summary>Ports below this one are for Services that name their node port (KEP-3668: min(max(16, size / 32), 128) ports).</summary>
    public const int FirstDynamicNodePort = FirstNodePort + ((LastNodePort - FirstNodePort + 1) / 32);

    private readonly Lock _lock = new(); // guards the sets and random
    private readonly LiveView<Held> _services = new(store, Resources.Services, Held.Read);
    private readonly HashSet<string> _takenAddresses = new(StringComparer.Ordinal);
    private readonly HashSet<long> _takenPorts = [];
    private readonly uint _first = First(range);
    private readonly uint _size = Size(range);
    private (long Version, HashSet<string> Addresses, HashSet<long> Ports) _held = (-1, [], []);

    /// <summary>The addresses and ports of one Service.</summary>
    private sealed record Held(IReadOnlyList<string> Addresses, IReadOnlyList<long> Ports)
    {
        public static Held Read(StoredObject stored)
        {
            var spec = stored.Parse()["spec"];
            var ports = Json.Objects(spec.At("ports")).Select(port => Json.Whole(port["nodePort"]) ?? 0)
                .Append(Json.Whole(spec.At("healthCheckNodePort")) ?? 0);
            return new([.. Json.Texts(spec.At("clusterIPs")), Json.Text(spec.At("clusterIP"))], [.. ports.Where(port => port > 0)]);
        }
    }

    public string Range => range;

    public string NetworkAddress => Text(_first);

    /// <summary>Null if the value is now reserved; otherwise why it is not.</summary>
    public string? TakeAddress(string address)
    {
        if (!IPAddress.TryParse(address, out var parsed) || parsed.AddressFamily != System.Net.Sockets.AddressFamily.InterNetwork
            || !IsInside(Number(parsed)))
            return $"the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}";
        lock (_lock)
        {
            return Current().Addresses.Contains(address) || !_takenAddresses.Add(address) ? "provided IP is already allocated" : null;
        }
    }

    /// <summary>A free address from the upper part of the range, which is not used for static assignment; null if all are taken.</summary>
    public string? TakeAnyAddress()
    {
        lock (_lock)
        {
            var held = Current().Addresses;
            var fixedPart = Math.Min(Math.Max(16, _size / 16), 256);
            for (var attempt = 0; attempt < 64; attempt++)
                if (Take(_first + fixedPart + (uint)random.NextInt64(Math.Max(1, _size - fixedPart - 1)), held) is { } lucky) return lucky;
            for (var offset = 1u; offset < _size - 1; offset++)
                if (Take(_first + offset, held) is { } left) return left;
            return null;
        }
    }

    public string? TakePort(long port)
    {
        if (port is < FirstNodePort or > LastNodePort)
            return $"provided port is not in the valid range. The range of valid ports is {FirstNodePort}-{LastNodePort}";
        lock (_lock)
        {
            return Current().Ports.Contains(port) || !_takenPorts.Add(port) ? "provided port is already allocated" : null;
        }
    }

    /// <summary>A free port from the upper part of the range, which is not used for static assignment; from the lower part once that is full; null if all are
    /// taken.</summary>
    public long? TakeAnyPort()
    {
        lock (_lock)
        {
            var held = Current().Ports;
            return AnyPort(FirstDynamicNodePort, LastNodePort, held) ?? AnyPort(FirstNodePort, FirstDynamicNodePort - 1, held);
        }
    }

    private long? AnyPort(int first, int last, HashSet<long> held)
    {
        var count = last - first + 1;
        var start = random.Next(count);
        for (var step = 0; step < count; step++)
        {
            var port = first + ((start + step) % count);
            if (!held.Contains(port) && _takenPorts.Add(port)) return port;
        }
        return null;
    }

    /// <summary>Forgets the reservations of a write: they are in the store now, or the write failed.</summary>
    public void Forget(IEnumerable<string> addresses, IEnumerable<long> ports)
    {
        lock (_lock)
        {
            _takenAddresses.ExceptWith(addresses);
            _takenPorts.ExceptWith(ports);
        }
    }

    private (long Version, HashSet<string> Addresses, HashSet<long> Ports) Current()
    {
        var now = _services.Read();
        if (now.Version != _held.Version)
            _held = (now.Version,
                now.Items.Values.SelectMany(held => held.Addresses).ToHashSet(StringComparer.Ordinal),
                now.Items.Values.SelectMany(held => held.Ports).ToHashSet());
        return _held;
    }

    private string? Take(uint address, HashSet<string> held)
    {
        var text = Text(address);
        return !held.Contains(text) && _takenAddresses.Add(text) ? text : null;
    }

    private bool IsInside(uint address) => address > _first && address < _first + _size - 1;

    private static uint First(string range) => Number(IPAddress.Parse(range.Split('/')[0]));

    private static uint Size(string range) => 1u << (32 - int.Parse(range.Split('/')[1], System.Globalization.CultureInfo.InvariantCulture));

    private static uint Number(IPAddress address) => System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());

    private static string Text(uint address)
    {
        Span<byte> bytes = stackalloc byte[4];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(bytes, address);
        return new IPAddress(bytes).ToString();
    }
}
