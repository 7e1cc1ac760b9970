using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Agent;

/// <summary>The data plane's name resolution, which bypasses its own traffic capture.</summary>
internal sealed class MarkedResolver(NameLookup names) : INameResolver
{
    public async ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop)
    {
        try
        {
            return await names.ResolveAsync(name, stop).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            return ([], TimeSpan.Zero);
        }
    }
}
