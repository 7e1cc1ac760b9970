using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>
/// Connections to where the URLs of objects lead, and the redirects and challenges of servers: whoever may write these must not reach the metadata
/// service of a cloud through agents. The address that is dialled is checked, whatever name led to it.
/// </summary>
internal sealed class GuardedDial(INameResolver resolver)
{
    /// <summary>Link-local addresses, and metadata services elsewhere: those of Alibaba Cloud, and of AWS over IPv6.</summary>
    private static readonly IPNetwork[] Forbidden =
    [
        IPNetwork.Parse("169.254.0.0/16"), IPNetwork.Parse("fe80::/10"), IPNetwork.Parse("224.0.0.0/24"), IPNetwork.Parse("ff02::/16"),
        IPNetwork.Parse("100.100.100.200/32"), IPNetwork.Parse("fd00:ec2::/32"),
    ];

    public static bool IsForbidden(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return Array.Exists(Forbidden, range => range.Contains(plain));
    }

    /// <exception cref="ModuleException">The address may not be dialled.</exception>
    /// <exception cref="SocketException">Nobody answers.</exception>
    public async ValueTask<Stream> OpenAsync(SocketsHttpConnectionContext context, CancellationToken stop)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        IReadOnlyList<IPAddress> addresses = IPAddress.TryParse(host, out var literal)
            ? [literal]
            : (await resolver.ResolveAsync(host, stop).ConfigureAwait(false)).Addresses;
        if (addresses.Count == 0) throw new SocketException((int)SocketError.HostNotFound);
        for (var at = 0; ; at++)
        {
            if (IsForbidden(addresses[at])) throw new ModuleException($"{host} has the address {addresses[at]}, from which no module may come");
            var socket = new Socket(addresses[at].AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(addresses[at], port, stop).ConfigureAwait(false);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (SocketException) when (at + 1 < addresses.Count)
            {
                socket.Dispose();
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }
}
