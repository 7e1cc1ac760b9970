using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Isthmus.Dns.Config;
using Isthmus.Dns.Plugins;
using Isthmus.Dns.Server;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Libraries.Dns;

/// <summary>The whole server on loopback, with servers of the same kind as upstreams.</summary>
public class DnsServerTests
{
    private const string Hosts = "HOME:0 {\n bind 127.0.0.1\n hosts {\n 10.0.0.1 a.home\n 10.0.0.2 many.home\n 10.0.0.3 many.home\n }\n}";

    [Fact]
    public async Task Answers_come_over_udp_and_tcp_in_the_askers_spelling()
    {
        await using var server = await StartAsync("home:5300 {\n bind 127.0.0.1\n hosts {\n 10.0.0.1 a.home\n }\n}", 0);
        foreach (var tcp in (bool[])[false, true])
        {
            var answer = await AskAsync(server, "A.Home", DnsType.A, tcp);
            Assert.Equal("A.Home", answer.Answers.Single().Name);
            Assert.Equal("10.0.0.1", ((AddressContent)answer.Answers.Single().Content).Address.ToString());
            Assert.Equal(DnsCode.NameError, (await AskAsync(server, "b.home", DnsType.A, tcp)).Header.Code);
            Assert.Equal(DnsCode.Refused, (await AskAsync(server, "elsewhere", DnsType.A, tcp)).Header.Code);
        }
    }

    [Theory]
    [InlineData(false, "_udp")]
    [InlineData(true, "_tcp")]
    public async Task Whoami_answers_with_the_address_and_the_port_of_the_asker(bool tcp, string protocol)
    {
        await using var server = await StartAsync("foo.bar.com:0 {\n bind 127.0.0.1\n whoami\n}", 0);
        var answer = await AskAsync(server, "foo.bar.com", DnsType.A, tcp);
        Assert.Equal(DnsCode.NoError, answer.Header.Code);
        Assert.Empty(answer.Answers);
        var (address, service) = (answer.Additionals[0], answer.Additionals[1]);
        Assert.Equal("127.0.0.1", ((AddressContent)address.Content).Address.ToString());
        Assert.Equal($"{protocol}.foo.bar.com", service.Name);
        Assert.NotEqual(0, ((ServiceContent)service.Content).Port);
    }

    [Fact]
    public async Task A_stub_domain_is_forwarded_and_a_dead_server_passed_over()
    {
        await using var home = await StartAsync(Hosts, 0);
        var port = home.Ports.Single();
        await using var server = await StartAsync(
            $".:0 {{\n bind 127.0.0.1\n errors\n}}\nhome:0 {{\n bind 127.0.0.2\n cache 30\n forward . 127.0.0.9:1 127.0.0.1:{port} {{\n policy sequential\n "
                + $"}}\n}}",
            0);
        var answer = await AskAsync(server, "a.home", DnsType.A, tcp: false, at: IPAddress.Parse("127.0.0.2"));
        Assert.Equal("10.0.0.1", ((AddressContent)answer.Answers.Single().Content).Address.ToString());
        await home.DisposeAsync();
        // This one comes from the cache.
        answer = await AskAsync(server, "A.HOME", DnsType.A, tcp: false, at: IPAddress.Parse("127.0.0.2"));
        Assert.Equal("A.HOME", answer.Answers.Single().Name);
        Assert.Contains("coredns_cache_hits_total 1", server.Metrics.Print(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_being_replaced_is_asked_until_it_is_back_and_one_that_never_answered_is_not_waited_for()
    {
        // On an address of its own: in the meantime, the kernel may give its port to a socket of another test.
        var hosts = Hosts.Replace("127.0.0.1", "127.0.0.3", StringComparison.Ordinal);
        var home = await StartAsync(hosts, 0);
        var port = home.Ports.Single();
        await using var server = await StartAsync($"home:0 {{\n bind 127.0.0.1\n forward . 127.0.0.3:{port}\n}}", 0);
        Assert.Equal(DnsCode.NoError, (await AskAsync(server, "a.home", DnsType.A, false)).Header.Code);
        await home.DisposeAsync();
        var asked = Task.WhenAll(Enumerable.Range(0, 5).Select(_ => AskAsync(server, "a.home", DnsType.A, false)));
        // Each received the negative answer twice.
        int Failures() =>
            int.Parse(server.Metrics.Print().Split('\n').Single(line => line.StartsWith("coredns_forward_failures_total ", StringComparison.Ordinal))
                .Split(' ')[1],
                CultureInfo.InvariantCulture);
        await Eventually.TrueAsync(() => Failures() >= 10);
        Assert.False(asked.IsCompleted);
        home = await StartAsync(hosts, port);
        Assert.All(await asked, answer => Assert.Equal(DnsCode.NoError, answer.Header.Code));
        await home.DisposeAsync();

        await using var other = await StartAsync("home:0 {\n bind 127.0.0.1\n forward . 127.0.0.9:1\n}", 0);
        Assert.Equal(DnsCode.ServerFailure, (await AskAsync(other, "a.home", DnsType.A, false)).Header.Code);
    }

    [Fact]
    public async Task A_bad_corefile_keeps_the_last_good_one_and_is_told()
    {
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(path, "home {\n bind 127.0.0.1\n reload\n hosts {\n 10.0.0.1 a.home\n }\n}");
            await using var server = Make();
            var (log, complaints) = (new List<string>(), new List<string>());
            var watch = new CorefileWatchRig(path, server, log.Add, complaints.Add);
            await watch.StartAsync();
            await File.WriteAllTextAsync(path, "home {\n bind 127.0.0.1\n reload\n hots {\n }\n}");
            await watch.LookAsync();
            Assert.Contains("unknown plugin 'hots'", complaints.Single(), StringComparison.Ordinal);
            Assert.Contains("the last good one stays", log.Single(), StringComparison.Ordinal);
            Assert.Equal(DnsCode.NoError, (await AskAsync(server, "a.home", DnsType.A, false)).Header.Code);
            await File.WriteAllTextAsync(path, "home {\n bind 127.0.0.1\n reload\n hosts {\n 10.0.0.9 a.home\n }\n}");
            await watch.LookAsync();
            var answer = await AskAsync(server, "a.home", DnsType.A, false);
            Assert.Equal("10.0.0.9", ((AddressContent)answer.Answers.Single().Content).Address.ToString());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task Answers_too_long_for_udp_are_cut_and_whole_over_tcp()
    {
        var lines = string.Concat(Enumerable.Range(1, 60).Select(i => $" 10.0.0.{i} long.home\n"));
        await using var server = await StartAsync($"home:0 {{\n bind 127.0.0.1\n hosts {{\n{lines} }}\n}}", 0);
        Assert.True((await AskAsync(server, "long.home", DnsType.A, tcp: false)).Header.IsTruncated);
        Assert.Equal(60, (await AskAsync(server, "long.home", DnsType.A, tcp: true)).Answers.Count);
    }

    [Fact]
    public async Task Noise_gets_no_answer_and_does_no_harm()
    {
        await using var server = await StartAsync(Hosts, 0);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(IPAddress.Loopback, server.Ports.Single());
        foreach (var noise in (byte[][])[[1], new byte[12], [.. Enumerable.Repeat((byte)0xff, 600)]]) await socket.SendAsync(noise);
        Assert.Equal(DnsCode.NoError, (await AskAsync(server, "a.home", DnsType.A, false)).Header.Code);
    }

    private static DnsServer Make() => new(TimeProvider.System, new Random(3), _ => throw new InvalidOperationException("no cluster here"), _ => { });

    private static async Task<DnsServer> StartAsync(string corefile, int port)
    {
        var server = Make();
        var plan = PlanReader.Read(corefile.Replace(":0 {", ":1 {", StringComparison.Ordinal), "Corefile", _ => null);
        // You cannot write port 0 in a Corefile, so the tests use any free port.
        await server.ApplyAsync(plan with { Zones = [.. plan.Zones.Select(zone => zone with { Port = port })] }, "Corefile");
        return server;
    }

    private static async Task<DnsMessage> AskAsync(DnsServer server, string name, DnsType type, bool tcp, IPAddress? at = null)
    {
        var query = DnsMessage.Query(77, new DnsQuestion(name, type)).ToBytes();
        var target = new IPEndPoint(at ?? IPAddress.Loopback, at is null ? server.Ports.First() : server.Ports.Last());
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        using var socket = new Socket(AddressFamily.InterNetwork, tcp ? SocketType.Stream : SocketType.Dgram, tcp ? ProtocolType.Tcp : ProtocolType.Udp);
        await socket.ConnectAsync(target, limit.Token);
        var buffer = new byte[65535];
        if (!tcp)
        {
            await socket.SendAsync(query, limit.Token);
            return DnsMessage.TryRead(buffer.AsSpan(0, await socket.ReceiveAsync(buffer, limit.Token)))!;
        }
        await using var stream = new NetworkStream(socket);
        var length = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(length, (ushort)query.Length);
        await stream.WriteAsync((byte[])[.. length, .. query], limit.Token);
        await stream.ReadExactlyAsync(length, limit.Token);
        var size = BinaryPrimitives.ReadUInt16BigEndian(length);
        await stream.ReadExactlyAsync(buffer.AsMemory(0, size), limit.Token);
        return DnsMessage.TryRead(buffer.AsSpan(0, size))!;
    }

    /// <summary>The reload, which checks the file when the test says so.</summary>
    private sealed class CorefileWatchRig(string path, DnsServer server, Action<string> log, Action<string> complain)
    {
        private readonly CorefileWatch _watch = new(path, 0, _ => null, server, TimeProvider.System, log, (message, _) =>
        {
            complain(message);
            return Task.CompletedTask;
        });

        internal Task StartAsync() => _watch.StartAsync();

        internal Task LookAsync() => _watch.LookAsync(CancellationToken.None);
    }
}
