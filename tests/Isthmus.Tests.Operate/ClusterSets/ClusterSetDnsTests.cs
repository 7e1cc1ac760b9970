using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Dns.Config;
using Isthmus.Dns.Server;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Operate.ClusterSets;

/// <summary>The cluster's DNS server in front of a real API server, whose definitions come while it runs.</summary>
public sealed class ClusterSetDnsTests
{
    private const string Corefile = """
        .:1053 {
            bind 127.0.0.1
            kubernetes cluster.local
            multicluster clusterset.local
        }
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Names_of_the_cluster_set_come_and_go_with_imports()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, new() { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "shop" } },
            Stop);
        await using var server = new DnsServer(TimeProvider.System, new Random(1), _ => client.Access, _ => { });
        var plan = PlanReader.Read(Corefile, "Corefile", _ => null);
        await server.ApplyAsync(plan with { Zones = [.. plan.Zones.Select(zone => zone with { Port = 0 })] }, "Corefile");

        // A cluster without the API has no such names, and its server is ready all the same.
        await Eventually.TrueAsync(() => server.Ready);
        Assert.Equal(DnsCode.NameError, (await AskAsync(server, "desk.shop.svc.clusterset.local")).Header.Code);

        foreach (var definition in YamlText.ParseAll(await File.ReadAllTextAsync(Repository.At("samples/multicluster/mcs-crds.yaml"), Stop), "CRDs")
            .OfType<JsonObject>())
            await client.CreateAsync(Kinds.CustomResourceDefinition, definition, Stop);
        var imports = new ResourceKind("multicluster.x-k8s.io", "v1alpha1", "ServiceImport", "serviceimports", true);
        await Eventually.TrueAsync(() => MadeAsync(client, imports));
        await Eventually.TrueAsync(async () => Addresses(await AskAsync(server, "desk.shop.svc.clusterset.local")) == "240.240.0.7");
        Assert.Equal(DnsCode.NameError, (await AskAsync(server, "desk.shop.svc.cluster.local")).Header.Code);

        await client.DeleteAsync(imports, "shop", "desk", Stop);
        await Eventually.TrueAsync(async () => (await AskAsync(server, "desk.shop.svc.clusterset.local")).Header.Code == DnsCode.NameError);
    }

    private static async Task<bool> MadeAsync(KubeClient client, ResourceKind imports)
    {
        try
        {
            await client.CreateAsync(imports, new()
            {
                ["apiVersion"] = imports.ApiVersion, ["kind"] = imports.Kind, ["metadata"] = new JsonObject { ["name"] = "desk", ["namespace"] = "shop" },
                ["spec"] = new JsonObject
                {
                    ["type"] = "ClusterSetIP", ["ips"] = new JsonArray("240.240.0.7"), ["ports"] = new JsonArray(new JsonObject { ["port"] = 80 })
                },
            }, Stop);
            return true;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    private static string Addresses(DnsMessage answer) =>
        string.Join(' ', answer.Answers.Select(record => record.Content).OfType<AddressContent>().Select(content => content.Address));

    private static async Task<DnsMessage> AskAsync(DnsServer server, string name)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(IPAddress.Loopback, server.Ports.Single(), Stop);
        await socket.SendAsync(DnsMessage.Query(7, new DnsQuestion(name, DnsType.A)).ToBytes(), Stop);
        var buffer = new byte[4096];
        return DnsMessage.TryRead(buffer.AsSpan(0, await socket.ReceiveAsync(buffer, Stop)))!;
    }
}
