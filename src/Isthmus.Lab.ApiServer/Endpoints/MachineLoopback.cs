using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.ApiServer.Endpoints;

/// <summary>Connects to servers on the machine's loopback, which this process does not share: the lab's supervisor connects it.</summary>
/// <param name="socketPath">The path of <see cref="MachineSocket"/>.</param>
internal sealed class MachineLoopback(string socketPath)
{
    /// <summary>The addresses that a loopback host stands for, in the order of attempts. Empty for other hosts.</summary>
    internal static IReadOnlyList<IPAddress> AddressesOf(string host)
    {
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase)) return [IPAddress.Loopback, IPAddress.IPv6Loopback];
        return IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address) ? [address] : [];
    }

    /// <exception cref="ServiceUnreachableException">Nothing listens there, or the supervisor does not answer.</exception>
    internal async Task<NetworkStream> DialAsync(DnsEndPoint to, CancellationToken stop)
    {
        ServiceUnreachableException? first = null;
        foreach (var address in AddressesOf(to.Host))
        {
            try
            {
                return await DialAsync(new IPEndPoint(address, to.Port), stop);
            }
            catch (ServiceUnreachableException e)
            {
                first ??= e;
            }
        }
        throw first ?? new ServiceUnreachableException($"dial tcp {to.Host}:{to.Port}: not a loopback address");
    }

    private async Task<NetworkStream> DialAsync(IPEndPoint to, CancellationToken stop)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), stop);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"{to.Address} {to.Port}\n"), stop);
            var answer = await ReadLineAsync(socket, stop);
            if (answer == MachineSocket.Connected) return new NetworkStream(socket, ownsSocket: true);
            throw new ServiceUnreachableException(
                $"dial tcp {to}: connect: "
                    + (Enum.TryParse<SocketError>(answer, out var error) ? ServiceEndpoints.Words(new SocketException((int)error))
                        : "the lab's supervisor does not answer"));
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new ServiceUnreachableException($"dial tcp {to}: the lab's supervisor is not reachable: {e.Message}", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<string> ReadLineAsync(Socket socket, CancellationToken stop)
    {
        var line = new byte[MachineSocket.LongestLine];
        var length = 0;
        // Byte by byte: what follows the line belongs to the connection.
        while (length < line.Length && await socket.ReceiveAsync(line.AsMemory(length, 1), stop) == 1)
        {
            if (line[length] == (byte)'\n') break;
            length++;
        }
        return Encoding.ASCII.GetString(line, 0, length);
    }
}
