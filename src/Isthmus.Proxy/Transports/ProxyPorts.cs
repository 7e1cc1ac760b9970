using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Net;

namespace Isthmus.Proxy.Transports;

/// <summary>Everything outside the process that the data plane touches, and the only part a test may replace.</summary>
internal sealed record ProxyPorts(TimeProvider Time, Random Random, ISocketFactory Sockets, INameResolver Resolver)
{
    /// <summary>Addresses to which names that clients choose must not lead: what listens there trusts its own machine.</summary>
    public Func<IPAddress, bool> IsForbidden { get; init; } = LocalAddresses.Contain;

    /// <summary>Reads a file that describes the machine; null when there is none.</summary>
    public Func<string, string?> ReadText { get; init; } = ReadFile;

    private static string? ReadFile(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return null;
        }
    }
}

/// <summary>The part of the kernel that differs between Pods; a test gives each of its Pods a network namespace or a
/// loopback address.</summary>
internal interface ISocketFactory
{
    private const int SolIp = 0, SolIpv6 = 41, OriginalDestinationOption = 80;

    Socket Create(AddressFamily family);

    /// <summary>A socket for datagrams.</summary>
    Socket CreateDatagram(AddressFamily family) => new(family, SocketType.Dgram, ProtocolType.Udp);

    /// <summary>Where a listener for this address opens.</summary>
    IPEndPoint Place(IPEndPoint address) => address;

    /// <summary>Where connections to other Pods come from; null for the kernel's choice.</summary>
    IPAddress? Source => null;

    /// <summary>Where a redirected connection was meant to go; null when it was not redirected.</summary>
    IPEndPoint? FindOriginalDestination(Socket accepted)
    {
        try
        {
            if (accepted.AddressFamily == AddressFamily.InterNetwork)
            {
                Span<byte> v4 = stackalloc byte[16];
                return accepted.GetRawSocketOption(SolIp, OriginalDestinationOption, v4) < 8
                    ? null
                    : new IPEndPoint(new IPAddress(v4.Slice(4, 4)), (v4[2] << 8) | v4[3]);
            }
            Span<byte> v6 = stackalloc byte[28];
            return accepted.GetRawSocketOption(SolIpv6, OriginalDestinationOption, v6) < 24
                ? null
                : new IPEndPoint(new IPAddress(v6.Slice(8, 16)), (v6[2] << 8) | v6[3]);
        }
        catch (SocketException)
        {
            return null;
        }
    }
}

/// <summary>Turns a host name into addresses.</summary>
internal interface INameResolver
{
    /// <returns>The addresses (none when the name does not exist) and how long they may be cached (zero: unknown).</returns>
    ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop);
}

/// <summary>Stream sockets in this process's network namespace.</summary>
internal sealed class ProcessSockets : ISocketFactory
{
    public Socket Create(AddressFamily family) =>
        new(family, SocketType.Stream, family == AddressFamily.Unix ? ProtocolType.Unspecified : ProtocolType.Tcp);
}

/// <summary>The resolver of the operating system.</summary>
internal sealed class SystemResolver : INameResolver
{
    public async ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop)
    {
        try
        {
            return (await System.Net.Dns.GetHostAddressesAsync(name, stop).ConfigureAwait(false), TimeSpan.Zero);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain)
        {
            return ([], TimeSpan.Zero);
        }
    }
}

/// <summary>Random numbers for any thread: each thread has its own generator.</summary>
internal sealed class ThreadRandom : Random
{
    [ThreadStatic] private static Random? _own;

    public override int Next() => Own.Next();

    public override int Next(int maxValue) => Own.Next(maxValue);

    public override int Next(int minValue, int maxValue) => Own.Next(minValue, maxValue);

    public override long NextInt64() => Own.NextInt64();

    public override long NextInt64(long maxValue) => Own.NextInt64(maxValue);

    public override long NextInt64(long minValue, long maxValue) => Own.NextInt64(minValue, maxValue);

    public override double NextDouble() => Own.NextDouble();

    public override void NextBytes(byte[] buffer) => Own.NextBytes(buffer);

    public override void NextBytes(Span<byte> buffer) => Own.NextBytes(buffer);

    private static Random Own => _own ??= new Random();
}
