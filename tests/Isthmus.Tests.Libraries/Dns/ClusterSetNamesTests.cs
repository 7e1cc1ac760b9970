using System.Text.Json.Nodes;
using Isthmus.Dns.Cluster;
using Isthmus.Dns.Config;
using Isthmus.Kubernetes.Objects;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Libraries.Dns;

/// <summary>Names of a cluster set, from ServiceImports and the slices of exported endpoints (KEP-1645).</summary>
public sealed class ClusterSetNamesTests
{
    private const string Zone = "clusterset.local";

    private readonly ImportDirectory _directory = new();

    public ClusterSetNamesTests()
    {
        Import("desk",
            """
                {"type": "ClusterSetIP", "ips": ["240.240.0.7", "2001:2::7"],
                  "ports": [{"name": "tcp", "port": 42}, {"name": "udp", "port": 42, "protocol": "UDP"}]}
                """);
        Import("ring", """{"type": "Headless", "ports": [{"name": "tcp", "port": 42}]}""");
        Import("bare", """{"type": "Headless", "ports": []}""");
        _directory.Put(Slice("ring", "c1", ("10.244.0.5", "ring-0", true), ("10.244.0.6", "", true), ("10.244.0.7", "", false)), null);
        _directory.Put(Slice("ring", "c2", ("10.245.0.5", "ring-0", null)), null);
    }

    [Theory]
    [InlineData("desk.shop.svc.clusterset.local", "A", "240.240.0.7")]
    [InlineData("DESK.shop.svc.clusterset.local", "AAAA", "2001:2::7")]
    [InlineData("desk.shop.svc.clusterset.local", "SRV", "0 100 42 desk.shop.svc.clusterset.local")]
    [InlineData("_udp._udp.desk.shop.svc.clusterset.local", "SRV", "0 100 42 desk.shop.svc.clusterset.local")]
    [InlineData("ring.shop.svc.clusterset.local", "A", "10.244.0.5 10.244.0.6 10.245.0.5")]
    [InlineData("ring-0.c1.ring.shop.svc.clusterset.local", "A", "10.244.0.5")]
    [InlineData("ring-0.c2.ring.shop.svc.clusterset.local", "A", "10.245.0.5")]
    [InlineData("10-244-0-6.c1.ring.shop.svc.clusterset.local", "A", "10.244.0.6")]
    [InlineData("ring.shop.svc.clusterset.local", "SRV",
        "0 100 42 10-244-0-6.c1.ring.shop.svc.clusterset.local,0 100 42 ring-0.c1.ring.shop.svc.clusterset.local,0 100 42 "
            + "ring-0.c2.ring.shop.svc.clusterset.local")]
    [InlineData("c2.ring.shop.svc.clusterset.local", "A", "")]
    [InlineData("shop.svc.clusterset.local", "A", "")]
    [InlineData("svc.clusterset.local", "A", "")]
    [InlineData("desk.shop.svc.clusterset.local", "TXT", "")]
    [InlineData("bare.shop.svc.clusterset.local", "A", null)]
    [InlineData("nosuch.shop.svc.clusterset.local", "A", null)]
    [InlineData("desk.nosuch.svc.clusterset.local", "A", null)]
    [InlineData("nosuch.svc.clusterset.local", "A", null)]
    [InlineData("_x._tcp.desk.shop.svc.clusterset.local", "SRV", null)]
    [InlineData("ring-0.c3.ring.shop.svc.clusterset.local", "A", null)]
    [InlineData("c3.ring.shop.svc.clusterset.local", "A", null)]
    [InlineData("a.b.c.desk.shop.svc.clusterset.local", "A", null)]
    public void Names_follow_the_specification(string name, string type, string? answer) => Assert.Equal(answer, Ask(name, Enum.Parse<DnsType>(type)));

    [Fact]
    public void What_goes_takes_its_names_along()
    {
        _directory.Put(null, Slice("ring", "c2"));
        Assert.Equal("10.244.0.5 10.244.0.6", Ask("ring.shop.svc.clusterset.local", DnsType.A));
        _directory.Put(null, "shop/desk");
        Assert.Null(Ask("desk.shop.svc.clusterset.local", DnsType.A));
        _directory.Clear();
        Assert.Null(Ask("ring.shop.svc.clusterset.local", DnsType.A));
    }

    [Theory]
    [InlineData("kubernetes cluster.local clusterset.local {\n multicluster clusterset.local\n }", "cluster.local clusterset.local", "clusterset.local")]
    [InlineData("multicluster clusterset.local", "clusterset.local", "clusterset.local")]
    [InlineData("multicluster clusterset.local {\n fallthrough\n }", "clusterset.local", "clusterset.local")]
    public void Both_spellings_of_CoreDNS_are_read(string plugin, string zones, string sets)
    {
        var plan = Assert.IsType<KubernetesPlan>(Assert.Single(Assert.Single(PlanReader.Read($". {{\n {plugin}\n}}", "Corefile", _ => null).Zones).Plugins));
        Assert.Equal((zones, sets), (string.Join(' ', plan.Zones), string.Join(' ', plan.SetZones)));
    }

    [Theory]
    [InlineData("kubernetes cluster.local {\n multicluster clusterset.local\n }",
        "multicluster: 'clusterset.local' is not among the zones of the plugin (cluster.local)")]
    [InlineData("multicluster clusterset.local {\n pods insecure\n }", "multicluster: unknown setting 'pods'")]
    public void What_cannot_work_is_refused(string plugin, string message) =>
        Assert.Contains(message, Assert.Throws<CorefileException>(() => PlanReader.Read($". {{\n {plugin}\n}}", "Corefile", _ => null)).Message,
            StringComparison.Ordinal);

    private string? Ask(string name, DnsType type) => new ClusterSetNames(_directory, 5).Find(Zone, name.ToLowerInvariant(), name, type) is { } answer
        ? string.Join(type == DnsType.SRV ? "," : " ", answer.Answers.Select(record => record.Content switch
        {
            AddressContent address => address.Address.ToString(),
            ServiceContent service => $"{service.Priority} {service.Weight} {service.Port} {service.Target}",
            var content => $"{content}",
        }).Order(StringComparer.Ordinal))
        : null;

    private void Import(string name, string spec) => _directory.Put(
        new JsonObject { ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = "shop" }, ["spec"] = JsonNode.Parse(spec) }, $"shop/{name}");

    private static EndpointSlice Slice(string service, string cluster, params (string Address, string Host, bool? Ready)[] endpoints) => new()
    {
        Metadata = new()
        {
            Name = $"{service}-{cluster}", Namespace = "shop",
            Labels = new() { ["multicluster.kubernetes.io/service-name"] = service, ["multicluster.kubernetes.io/source-cluster"] = cluster },
        },
        Ports = [new() { Name = "tcp", Port = 42 }],
        Endpoints = [.. endpoints.Select(one => new SliceEndpoint
        {
            Addresses = [one.Address], Hostname = one.Host, Conditions = new() { Ready = one.Ready }
        })],
    };
}
