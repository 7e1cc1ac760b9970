using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Dns;
using Xunit;

namespace Isthmus.Tests.Proxy.Dns;

public sealed class DatagramBurstTests
{
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void Each_client_gets_the_answers_to_its_own_datagrams(string host)
    {
        using var server = Bound(host);
        using var burst = new DatagramBurst(server);
        Socket[] clients = [Client(server), Client(server), Client(server)];
        // More than fit into one burst, of all lengths.
        var sent = Enumerable.Range(0, 2 * DatagramBurst.Most).Select(i => Enumerable.Repeat((byte)i, 1 + i * 5).ToArray()).ToList();
        foreach (var (i, datagram) in sent.Index()) clients[i % 3].Send(datagram);
        for (var seen = 0; seen < sent.Count;)
        {
            var count = burst.Receive();
            Assert.InRange(count, 1, DatagramBurst.Most);
            for (var i = 0; i < count; i++, seen++)
            {
                Assert.Equal(((IPEndPoint)clients[burst[i][0] % 3].LocalEndPoint!).Port, ((IPEndPoint)server.LocalEndPoint!.Create(burst.From(i))).Port);
                burst[i].CopyTo(burst.Room);
                // Every fifth has no answer.
                if (burst[i][0] % 5 != 0) burst.Answer(i, burst[i].Length);
            }
            burst.Send();
        }
        foreach (var (i, datagram) in sent.Index().Where(item => item.Index % 5 != 0))
        {
            var back = new byte[DatagramBurst.MostBytes];
            Assert.Equal(datagram, back[..clients[i % 3].Receive(back)]);
        }
        foreach (var client in clients)
        {
            Assert.Equal(0, client.Available);
            client.Dispose();
        }
    }

    [Fact]
    public void A_datagram_that_is_too_long_is_cut_off()
    {
        using var server = Bound("127.0.0.1");
        using var burst = new DatagramBurst(server);
        using var client = Client(server);
        client.Send(new byte[DatagramBurst.MostBytes + 1]);
        client.Send([7]);
        var lengths = new List<int>();
        while (lengths.Count < 2)
            for (var (i, count) = (0, burst.Receive()); i < count; i++) lengths.Add(burst[i].Length);
        Assert.Equal([DatagramBurst.MostBytes, 1], lengths);
    }

    [Fact]
    public async Task Who_waits_is_told_when_the_socket_is_closed()
    {
        var server = Bound("127.0.0.1");
        using var burst = new DatagramBurst(server);
        var waiting = Task.Factory.StartNew(() => Record.Exception(() => burst.Receive()), TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning, TaskScheduler.Default);
        server.Close();
        Assert.True(await waiting is SocketException or ObjectDisposedException);
    }

    private static Socket Bound(string host)
    {
        var address = IPAddress.Parse(host);
        var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(address, 0));
        return socket;
    }

    private static Socket Client(Socket server)
    {
        var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 30_000 };
        socket.Connect(server.LocalEndPoint!);
        return socket;
    }
}
