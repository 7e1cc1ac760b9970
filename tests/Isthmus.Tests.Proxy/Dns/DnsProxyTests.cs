using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Dns;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Isthmus.Wire.Istio;
using Xunit;

namespace Isthmus.Tests.Proxy.Dns;

public sealed class DnsProxyTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Mesh_names_come_from_the_table_and_others_from_upstream(bool tcp)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using var upstreamPort = ForBoth();
        using var port = ForBoth();
        var (upstreamAddress, address) = (upstreamPort.EndPoint, port.EndPoint);
        // The upstream is another proxy of the same kind, whose table has the names that the first lacks.
        var upstream = new DnsProxy(upstreamAddress, new([], TimeProvider.System), TimeProvider.System, new(1),
            (_, _) => { }) { Table = Names("outside.example", "192.0.2.7") };
        var proxy = new DnsProxy(address, new([upstreamAddress], new PatientTime()), TimeProvider.System, new(2), (_, _) => { });
        var running = Task.WhenAll(upstream.RunAsync(stop.Token), proxy.RunAsync(stop.Token));
        var client = new Upstream([address], new PatientTime());

        Assert.Equal(DnsCode.ServerFailure, (await AskAsync(client, "shop", tcp, stop.Token))!.Header.Code);
        proxy.Table = Names("shop", "10.96.0.7");
        Assert.Equal("10.96.0.7", Address(await AskAsync(client, "shop", tcp, stop.Token)));
        Assert.Equal("192.0.2.7", Address(await AskAsync(client, "outside.example", tcp, stop.Token)));
        Assert.Equal(1, proxy.Counts.Forwarded);

        await stop.CancelAsync();
        await running.WaitAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Lookup_tries_the_search_domains_and_the_hosts_file()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using var port = ForBoth();
        var address = port.EndPoint;
        var server = new DnsProxy(address, new([], TimeProvider.System), TimeProvider.System, new(1),
            (_, _) => { }) { Table = Names("istiod.istio-system.svc.cluster.local", "10.96.1.1") };
        var running = server.RunAsync(stop.Token);
        var settings = new ResolverSettings([address], ["svc.cluster.local", "cluster.local"], 5);
        // The server knows nobody to ask for the first candidate, and stays silent.
        var lookup = new NameLookup(settings, new([address], new PatientTime { Factor = 3 }), () => "127.0.0.1 localhost # me\n10.0.0.9 here here.local\n",
            new(1));

        Assert.Equal([IPAddress.Parse("10.96.1.1")], (await lookup.ResolveAsync("istiod.istio-system.svc", stop.Token)).Addresses);
        Assert.Equal([IPAddress.Parse("10.0.0.9")], (await lookup.ResolveAsync("here.local", stop.Token)).Addresses);
        Assert.Equal([IPAddress.Parse("::1")], (await lookup.ResolveAsync("::1", stop.Token)).Addresses);

        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public void Resolver_settings_are_read_as_resolvers_do()
    {
        var settings = ResolverSettings.Parse(
            "# x\nnameserver 10.96.0.10\nnameserver fd00::1\nnameserver oops\nsearch a.svc.cluster.local svc.cluster.local.\noptions edns0 ndots:5\n");
        Assert.Equal([new(IPAddress.Parse("10.96.0.10"), 53), new(IPAddress.Parse("fd00::1"), 53)], settings.Servers);
        Assert.Equal(["x.y.a.svc.cluster.local", "x.y.svc.cluster.local", "x.y"], settings.Candidates("x.y"));
        Assert.Equal(["x.y"], settings.Candidates("x.y."));
    }

    /// <summary>A port that is free for UDP, too.</summary>
    private static ReservedPort ForBoth()
    {
        while (true)
        {
            var port = new ReservedPort();
            try
            {
                using var udp = new UdpClient(port.EndPoint);
                return port;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                port.Dispose();
            }
        }
    }

    private static async Task<DnsMessage?> AskAsync(Upstream server, string name, bool tcp, CancellationToken stop) =>
        await server.AskAsync(DnsMessage.Query(9, new(name, DnsType.A)).ToBytes(), tcp, stop) is { } answer ? DnsMessage.TryRead(answer) : null;

    private static string? Address(DnsMessage? answer) => (answer?.Answers[0].Content as AddressContent)?.Address.ToString();

    private static NameTables Names(string name, string address) =>
        NameTables.Build(new() { Table = { [name] = new() { Ips = { address }, Registry = "External" } } }, "sample", "sample.svc.cluster.local", []);
}
