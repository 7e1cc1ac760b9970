using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Isthmus.Dns;
using Isthmus.Dns.Config;
using Isthmus.Dns.Server;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.GlobalNames;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Operate.GlobalNames;

/// <summary>Both programs of istiocoredns on loopback: the DNS server with its plugin <c>grpc</c>, and the program that
/// answers it.</summary>
public sealed class CorednsPluginTests
{
    [Fact]
    public async Task Names_of_the_zone_are_answered_by_the_plugin_and_others_go_on()
    {
        var answers = new EntryAnswers(_ => { });
        answers.Update(EntryTable.Of([new()
        {
            ["spec"] = YamlText.Parse("hosts: [orders.shop.global]\nresolution: DNS\naddresses: [240.0.0.2]", "test")!.DeepClone()
        }],
            null));
        using var reserved = new ReservedPort();
        var port = reserved.Number;
        await using var plugin = CorednsPluginProgram.Server(new IPEndPoint(IPAddress.Loopback, port), answers);
        await plugin.StartAsync(TestContext.Current.CancellationToken);
        await using var server = new DnsServer(TimeProvider.System, new Random(3), _ => throw new InvalidOperationException("no cluster here"), _ => { });
        var plan = PlanReader.Read($".:1 {{\n bind 127.0.0.1\n grpc global 127.0.0.1:{port}\n hosts {{\n 10.0.0.1 a.home\n fallthrough\n }}\n cache 30\n}}",
            "Corefile", _ => null);
        await server.ApplyAsync(plan with { Zones = [.. plan.Zones.Select(zone => zone with { Port = 0 })] }, "Corefile");

        Assert.Equal((DnsCode.NoError, "240.0.0.2"), await AnsweredAsync(server, "orders.shop.global"));
        Assert.Equal((DnsCode.NoError, ""), await AnsweredAsync(server, "orders.shop.global", DnsType.AAAA));
        Assert.Equal((DnsCode.NameError, ""), await AnsweredAsync(server, "stock.shop.global"));
        Assert.Equal((DnsCode.NoError, "10.0.0.1"), await AskAsync(server, "a.home"));
        Assert.Equal((DnsCode.Refused, ""), await AskAsync(server, "b.home"));

        await plugin.StopAsync(TestContext.Current.CancellationToken);
        // Earlier answers are cached. Other names are unknown now, and must not be denied.
        Assert.Equal((DnsCode.NoError, "240.0.0.2"), await AskAsync(server, "orders.shop.global"));
        Assert.Equal((DnsCode.ServerFailure, ""), await AskAsync(server, "new.shop.global"));
    }

    [Fact]
    public async Task A_server_is_ready_when_the_plugin_has_answered_once()
    {
        var answers = new EntryAnswers(_ => { });
        answers.Update(EntryTable.Of([], null));
        using var reserved = new ReservedPort();
        var port = reserved.Number;
        await using var server = new DnsServer(TimeProvider.System, new Random(3), _ => throw new InvalidOperationException("no cluster here"), _ => { });
        var plan = PlanReader.Read($".:1 {{\n bind 127.0.0.1\n grpc global 127.0.0.1:{port}\n}}", "Corefile", _ => null);
        await server.ApplyAsync(plan with { Zones = [.. plan.Zones.Select(zone => zone with { Port = 0 })] }, "Corefile");
        Assert.Equal((DnsCode.ServerFailure, ""), await AskAsync(server, "orders.shop.global"));
        Assert.False(server.Ready);

        await using var plugin = CorednsPluginProgram.Server(new IPEndPoint(IPAddress.Loopback, port), answers);
        await plugin.StartAsync(TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() => server.Ready);
        Assert.Equal((DnsCode.NameError, ""), await AnsweredAsync(server, "orders.shop.global"));
    }

    /// <summary>Asks again as resolvers do if the server gave up: it waits for the plugin for 2 s, and a busy machine may stand still for longer.
    /// A failure that comes sooner counts.</summary>
    private static async Task<(DnsCode Code, string Address)> AnsweredAsync(DnsServer server, string name, DnsType type = DnsType.A)
    {
        for (var attempt = 1; ; attempt++)
        {
            var begun = Stopwatch.GetTimestamp();
            var answer = await AskAsync(server, name, type);
            if (answer.Code != DnsCode.ServerFailure || attempt == 20 || Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(1.9)) return answer;
        }
    }

    private static async Task<(DnsCode Code, string Address)> AskAsync(DnsServer server, string name, DnsType type = DnsType.A)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, server.Ports.First()), limit.Token);
        await socket.SendAsync(DnsMessage.Query(7, new DnsQuestion(name, type)).ToBytes(), limit.Token);
        var buffer = new byte[4096];
        var answer = DnsMessage.TryRead(buffer.AsSpan(0, await socket.ReceiveAsync(buffer, limit.Token)))!;
        return (answer.Header.Code, answer.Answers.Select(record => ((AddressContent)record.Content).Address.ToString()).FirstOrDefault() ?? "");
    }
}
