using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Collections;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.ControlPlane.HostNames;

public sealed class NameClientTests
{
    private static readonly IPEndPoint Server = new(IPAddress.Loopback, 53);

    [Fact]
    public void Addresses_at_the_end_of_aliases_live_as_long_as_the_shortest_record()
    {
        var answer = Read([Alias("elb.example", 30, "a.example"), Alias("a.example", 300, "b.example"), Address("b.example", 60, "10.0.0.9"),
            Address("B.EXAMPLE", 60, "10.0.0.2")]);
        Assert.Equal(new([Core.Net.Address.Parse("10.0.0.2"), Core.Net.Address.Parse("10.0.0.9")], TimeSpan.FromSeconds(30), ""), answer);
    }

    [Fact]
    public void Records_of_other_names_do_not_count() =>
        Assert.Equal("has no address", Read([Address("evil.example", 60, "10.6.6.6"), Alias("elb.example", 60, "a.example")]).Error);

    [Fact]
    public void Aliases_that_turn_in_a_circle_end() =>
        Assert.Equal("has no address", Read([Alias("elb.example", 60, "a.example"), Alias("a.example", 60, "elb.example")]).Error);

    [Theory]
    [InlineData(DnsCode.NameError, "does not exist")]
    [InlineData(DnsCode.ServerFailure, "name server 127.0.0.1:53 returned ServerFailure")]
    public void Failures_say_what_the_server_said(DnsCode code, string words) => Assert.Equal(words, Read([], code).Error);

    [Theory]
    [InlineData("")]
    [InlineData("a..b")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example")]
    public async Task What_is_no_name_is_not_asked_for(string host)
    {
        var client = new NameClient(() => new([Server], [], 1), new(1), TimeProvider.System);
        Assert.Contains("is not a valid host name", (await client.AskAsync(host, TestContext.Current.CancellationToken)).Error);
    }

    [Fact]
    public async Task An_answer_that_does_not_fit_is_asked_for_again_by_TCP_and_the_next_server_is_tried_when_one_fails()
    {
        var (udp, tcp) = Listen();
        using var udpEnd = udp;
        using var tcpEnd = tcp;
        var address = (IPEndPoint)tcp.LocalEndpoint;
        using var refusing = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        refusing.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var closed = (IPEndPoint)refusing.LocalEndPoint!;
        refusing.Dispose();

        var serving = ServeAsync(udp, tcp);
        var answer = await new NameClient(() => new([closed, address], ["svc.cluster.local"], 5), new(1), new PatientTime()).AskAsync("elb.example.",
            TestContext.Current.CancellationToken);
        Assert.Equal(new([Core.Net.Address.Parse("10.0.0.7")], TimeSpan.FromSeconds(5), ""), answer);
        await serving;
    }

    /// <summary>One port for both: one that the kernel chose for TCP may be taken for UDP.</summary>
    private static (UdpClient Udp, TcpListener Tcp) Listen()
    {
        while (true)
        {
            var tcp = new TcpListener(IPAddress.Loopback, 0);
            tcp.Start();
            try
            {
                return (new UdpClient((IPEndPoint)tcp.LocalEndpoint), tcp);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                tcp.Dispose();
            }
        }
    }

    private static async Task ServeAsync(UdpClient udp, TcpListener tcp)
    {
        var asked = await udp.ReceiveAsync(TestContext.Current.CancellationToken);
        var query = DnsMessage.TryRead(asked.Buffer)!;
        // An answer to another query arrives first: it has another ID.
        await udp.SendAsync(DnsMessage.Query((ushort)(query.Header.Id + 1), query.Questions[0]).Answer(DnsCode.NameError).ToBytes(), asked.RemoteEndPoint);
        var truncated = query.Answer(DnsCode.NoError).ToBytes();
        truncated[2] |= 2;
        await udp.SendAsync(truncated, asked.RemoteEndPoint);
        using var client = await tcp.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        var length = new byte[2];
        await client.GetStream().ReadExactlyAsync(length, TestContext.Current.CancellationToken);
        var bytes = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
        await client.GetStream().ReadExactlyAsync(bytes, TestContext.Current.CancellationToken);
        var answer = (DnsMessage.TryRead(bytes)!.Answer(DnsCode.NoError) with { Answers = [Address("elb.example", 5, "10.0.0.7")] }).ToBytes();
        BinaryPrimitives.WriteUInt16BigEndian(length, (ushort)answer.Length);
        await client.GetStream().WriteAsync((byte[])[.. length, .. answer], TestContext.Current.CancellationToken);
    }

    private static NameAnswer Read(ValueList<DnsRecord> answers, DnsCode code = DnsCode.NoError) =>
        NameClient.Read(DnsMessage.Query(1, new("elb.example", DnsType.A)).Answer(code) with { Answers = answers }, "elb.example", DnsType.A, Server);

    private static DnsRecord Alias(string name, uint ttl, string target) => new(name, ttl, new NameContent(DnsType.CNAME, target));

    private static DnsRecord Address(string name, uint ttl, string address) => new(name, ttl, new AddressContent(IPAddress.Parse(address)));
}
