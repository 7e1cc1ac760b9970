using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Lab.ApiServer.Endpoints;
using Isthmus.Lab.Loopback;
using Isthmus.Lab.Machine.Network;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Lab.Loopback;

/// <summary>The way from the lab's API servers to the machine's loopback. Few sockets serve any number of connections.</summary>
public sealed class MachineDoorTests : IAsyncLifetime
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private readonly string _directory = Directory.CreateTempSubdirectory("machine").FullName;
    private readonly CancellationTokenSource _over = new();
    private readonly TcpListener _server = new(IPAddress.Loopback, 0);
    private MachineSockets _sockets = null!;
    private MachineDoor _door = null!;
    private Task _running = Task.CompletedTask;

    public ValueTask InitializeAsync()
    {
        // Two sockets, so that each is used again at once.
        _sockets = new(MachineSockets.Open().Where(socket => socket.AddressFamily == AddressFamily.InterNetwork).Take(2))
        {
            Patience = TimeSpan.FromMilliseconds(20)
        };
        _door = new(Path.Combine(_directory, MachineSocket.FileName), _sockets, NullLogger.Instance);
        _running = _door.RunAsync(_over.Token);
        _server.Start();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _running;
        _door.Dispose();
        _sockets.Dispose();
        _server.Dispose();
        _over.Dispose();
        Directory.Delete(_directory, true);
    }

    [Theory]
    [InlineData("server")]
    [InlineData("client")]
    [InlineData("reset")]
    public async Task A_socket_connects_again_however_its_last_connection_ended(string ends)
    {
        for (var i = 0; i < 20; i++)
        {
            await using var client = await DialAsync("127.0.0.1", Port);
            using var served = await _server.AcceptSocketAsync(Stop);
            var text = $"request {i}";
            await client.WriteAsync(Encoding.ASCII.GetBytes(text), Stop);
            Assert.Equal(text, await ReceiveAsync(served));
            await served.SendAsync(Encoding.ASCII.GetBytes(text), Stop);
            var buffer = new byte[100];
            Assert.Equal(text, Encoding.ASCII.GetString(buffer, 0, await client.ReadAsync(buffer, Stop)));
            if (ends == "client")
            {
                client.Socket.Shutdown(SocketShutdown.Send);
                Assert.Equal("", await ReceiveAsync(served));
            }
            // Closing with a linger time of zero sends a reset.
            if (ends == "reset") served.LingerState = new(true, 0);
            served.Close();
            Assert.Equal(0, await client.ReadAsync(buffer, Stop));
        }
    }

    [Fact]
    public async Task Many_bytes_pass_in_both_directions()
    {
        await using var client = await DialAsync("localhost", Port);
        using var served = await _server.AcceptTcpClientAsync(Stop);
        var echo = served.GetStream().CopyToAsync(served.GetStream(), Stop);
        var sent = new byte[3_000_000];
        new Random(1).NextBytes(sent);
        var sending = client.WriteAsync(sent, Stop);
        var received = new byte[sent.Length];
        await client.ReadExactlyAsync(received, Stop);
        await sending;
        Assert.True(sent.AsSpan().SequenceEqual(received));
        client.Socket.Shutdown(SocketShutdown.Send);
        await echo;
    }

    [Fact]
    public async Task A_connection_waits_until_a_socket_is_free()
    {
        var first = await DialAsync("127.0.0.1", Port);
        await using var second = await DialAsync("127.0.0.1", Port);
        var third = DialAsync("127.0.0.1", Port);
        using (await _server.AcceptSocketAsync(Stop))
        {
            Assert.False(third.IsCompleted);
            await first.DisposeAsync();
        }
        await using var connected = await third;
    }

    [Fact]
    public async Task A_server_that_stands_still_keeps_no_socket_when_its_clients_have_left()
    {
        var accepted = new List<Socket>();
        for (var i = 0; i < 5; i++)
        {
            await (await DialAsync("127.0.0.1", Port)).DisposeAsync();
            accepted.Add(await _server.AcceptSocketAsync(Stop));
        }
        foreach (var socket in accepted) socket.Dispose();
    }

    [Fact]
    public async Task A_closed_port_is_refused_as_by_a_real_API_server_and_costs_no_socket()
    {
        var closed = Port;
        _server.Stop();
        for (var i = 0; i < 5; i++)
        {
            var refused = await Assert.ThrowsAsync<ServiceUnreachableException>(() => DialAsync("127.0.0.1", closed));
            Assert.Equal($"dial tcp 127.0.0.1:{closed}: connect: connection refused", refused.Message);
        }
        var noVersion6 = await Assert.ThrowsAsync<ServiceUnreachableException>(() => DialAsync("::1", closed));
        Assert.StartsWith($"dial tcp [::1]:{closed}: connect: ", noVersion6.Message);
        _server.Start();
        await using var client = await DialAsync("127.0.0.1", Port);
    }

    [Theory]
    [InlineData("192.168.1.1 80")]
    [InlineData("0.0.0.0 80")]
    [InlineData("localhost 80")]
    [InlineData("127.0.0.1 99999")]
    [InlineData("nonsense")]
    public async Task Only_addresses_of_the_loopback_are_reached(string request)
    {
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(_directory, MachineSocket.FileName)), Stop);
        await client.SendAsync(Encoding.ASCII.GetBytes(request + "\n"), Stop);
        Assert.Equal("AccessDenied\n", await ReceiveAsync(client));
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.1.2.3", true)]
    [InlineData("::1", true)]
    [InlineData("LocalHost", true)]
    [InlineData("127.0.0.1.example.com", false)]
    [InlineData("172.18.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("localhost.example.com", false)]
    public void A_URL_leads_to_the_machine_by_its_host(string host, bool leads) => Assert.Equal(leads, MachineLoopback.AddressesOf(host).Count > 0);

    private int Port => ((IPEndPoint)_server.LocalEndpoint).Port;

    private Task<NetworkStream> DialAsync(string host, int port) =>
        new MachineLoopback(Path.Combine(_directory, MachineSocket.FileName)).DialAsync(new(host, port), Stop);

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        var buffer = new byte[100];
        return Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer, Stop));
    }
}
