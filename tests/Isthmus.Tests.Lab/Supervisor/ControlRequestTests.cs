using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Supervisor;
using Xunit;

namespace Isthmus.Tests.Lab.Supervisor;

/// <summary>A command's request at the supervisor's socket, with which a listener may be passed.</summary>
public sealed class ControlRequestTests : IAsyncLifetime
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"control-{Guid.NewGuid():N}");
    private readonly Socket _client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private Socket _server = null!;

    public async ValueTask InitializeAsync()
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(_path));
        listener.Listen();
        await _client.ConnectAsync(new UnixDomainSocketEndPoint(_path), Stop);
        _server = await listener.AcceptAsync(Stop);
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        _server.Dispose();
        File.Delete(_path);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_passed_listener_accepts_in_the_process_that_got_it()
    {
        using (var listener = Listen(IPAddress.Loopback))
            DescriptorMessage.Send(_client, """{"operation": "expose", "name": "a"}"""u8.ToArray().Append((byte)'\n').ToArray(), listener);
        using var request = (await ControlRequest.ReadAsync(_server, Stop))!;
        Assert.Equal(("expose", "a"), (request.Operation, request.Cluster));
        using var taken = request.TakeListener();
        using var caller = new TcpClient(AddressFamily.InterNetwork);
        await caller.ConnectAsync((IPEndPoint)taken.LocalEndPoint!, Stop);
        using var accepted = await taken.AcceptAsync(Stop);
        Assert.Equal(caller.Client.LocalEndPoint, accepted.RemoteEndPoint);
        Assert.Throws<ProblemException>(request.TakeListener);
    }

    [Fact]
    public void Reading_when_nothing_has_arrived_is_no_error()
    {
        Assert.Null(DescriptorMessage.Receive(_server, new byte[10], out var passed));
        Assert.Null(passed);
    }

    [Fact]
    public async Task A_listener_on_another_address_than_127_0_0_1_is_refused()
    {
        using var listener = Listen(IPAddress.Any);
        DescriptorMessage.Send(_client, "{\"operation\": \"expose\"}\n"u8, listener);
        using var request = (await ControlRequest.ReadAsync(_server, Stop))!;
        Assert.Contains("no listener on 127.0.0.1", Assert.Throws<ProblemException>(request.TakeListener).Message);
    }

    [Fact]
    public async Task A_long_request_in_pieces_is_read_whole()
    {
        var name = new string('x', 10_000);
        var reading = ControlRequest.ReadAsync(_server, Stop);
        foreach (var piece in Encoding.ASCII.GetBytes($$"""{"operation": "delete", "name": "{{name}}"}""" + "\n").Chunk(3_000))
            await _client.SendAsync(piece, Stop);
        using var request = (await reading)!;
        Assert.Equal(name, request.Cluster);
        Assert.Throws<ProblemException>(request.TakeListener);
    }

    [Fact]
    public async Task A_client_that_only_looks_whether_the_supervisor_runs_asks_nothing()
    {
        _client.Dispose();
        Assert.Null(await ControlRequest.ReadAsync(_server, Stop));
    }

    private static Socket Listen(IPAddress address)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(address, 0));
        listener.Listen();
        return listener;
    }
}
