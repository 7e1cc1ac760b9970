using System.Net;
using System.Net.Sockets;

namespace Isthmus.Proxy;

/// <summary>Everything outside the process that the data plane touches, and the only part a test may replace.</summary>
internal sealed record ProxyPorts(TimeProvider Time, Random Random, ISocketFactory Sockets, INameResolver Resolver);

/// <summary>Creates sockets; a test creates them inside another network namespace.</summary>
internal interface ISocketFactory
{
    Socket Create(AddressFamily family);
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
