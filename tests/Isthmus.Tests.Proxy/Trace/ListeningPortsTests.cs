using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Trace;
using Xunit;

namespace Isthmus.Tests.Proxy.Trace;

public class ListeningPortsTests
{
    private const string Heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

    [Fact]
    public void The_ports_of_this_network_namespace_that_listen_are_listed()
    {
        using var four = Listener(IPAddress.Loopback);
        using var six = Listener(IPAddress.IPv6Loopback);
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        client.Connect(four.LocalEndPoint!);
        var ports = ListeningPorts.Read();
        Assert.Contains((IPEndPoint)four.LocalEndPoint!, ports);
        Assert.Contains((IPEndPoint)six.LocalEndPoint!, ports);
        Assert.DoesNotContain((IPEndPoint)client.LocalEndPoint!, ports);
    }

    [Fact]
    public void Connections_come_after_the_listeners_and_are_not_read()
    {
        var read = new List<string>();
        var ports = ListeningPorts.Parse(Lines(read,
            Heading,
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1172 1 0 100 0 0 10 0",
            "   1: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1 0",
            "   2: 0100007F:1F90 0100007F:8DFD 01 00000000:00000000 00:00000000 00000000     0        0 0 3 0",
            "   3: 0100007F:8DFD 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 0 3 0")).ToList();
        Assert.Equal([new(IPAddress.Loopback, 8080), new(IPAddress.Loopback.MapToIPv6(), 80)], ports);
        Assert.Equal(4, read.Count);
    }

    [Theory]
    [InlineData("   0: 0100007F 00000000:0000 0A")]
    [InlineData("   0: 0100:1F90 00000000:0000 0A")]
    [InlineData("   0: 0100007G:1F90 00000000:0000 0A")]
    [InlineData("   0: 0100007F:1F9X 00000000:0000 0A")]
    [InlineData("   0: 0100007F:1F90")]
    [InlineData("")]
    public void A_line_that_is_no_listener_gives_no_port(string line) => Assert.Empty(ListeningPorts.Parse([Heading, line]));

    private static Socket Listener(IPAddress address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(address, 0));
        socket.Listen();
        return socket;
    }

    private static IEnumerable<string> Lines(List<string> read, params string[] lines)
    {
        foreach (var line in lines)
        {
            read.Add(line);
            yield return line;
        }
    }
}
