using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Dns.Cluster;
using Isthmus.Dns.Config;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Libraries.Dns;

public class ClusterNamesTests
{
    private readonly ClusterDirectory _directory = new(endpointPodNames: false);

    public ClusterNamesTests()
    {
        _directory.Put(new Namespace(), "shop");
        Put("web", "10.96.1.1", ports: [new() { Name = "http", Port = 80 }]);
        Put("db", "None", ports: [new() { Name = "sql", Port = 5432 }]);
        Put("empty", "None");
        Put("1web", "10.96.1.9", ports: [new() { Name = "http", Port = 80 }]);
        _directory.Put(new Service
        {
            Metadata = new() { Name = "out", Namespace = "shop" }, Spec = new() { Type = "ExternalName", ExternalName = "example.com." }
        },
            "shop/out");
        _directory.Put(Slice("db", ("10.244.0.5", "db-0", true), ("10.244.0.6", "", true), ("10.244.0.7", "", false)), null);
    }

    [Theory]
    [InlineData("web.shop.svc.cluster.local", "A", "10.96.1.1")]
    [InlineData("1web.shop.svc.cluster.local", "A", "10.96.1.9")]
    [InlineData("_http._tcp.1web.shop.svc.cluster.local", "SRV", "0 100 80 1web.shop.svc.cluster.local")]
    [InlineData("9.1.96.10.in-addr.arpa", "PTR", "1web.shop.svc.cluster.local")]
    [InlineData("WEB.Shop.svc.cluster.local", "A", "10.96.1.1")]
    [InlineData("web.shop.svc.cluster.local", "AAAA", "")]
    [InlineData("db.shop.svc.cluster.local", "A", "10.244.0.5 10.244.0.6")]
    [InlineData("db-0.db.shop.svc.cluster.local", "A", "10.244.0.5")]
    [InlineData("10-244-0-6.db.shop.svc.cluster.local", "A", "10.244.0.6")]
    [InlineData("_http._tcp.web.shop.svc.cluster.local", "SRV", "0 100 80 web.shop.svc.cluster.local")]
    [InlineData("_sql._tcp.db.shop.svc.cluster.local", "SRV", "0 100 5432 db-0.db.shop.svc.cluster.local,0 100 5432 10-244-0-6.db.shop.svc.cluster.local")]
    [InlineData("10-1-2-3.shop.pod.cluster.local", "A", "10.1.2.3")]
    [InlineData("dns-version.cluster.local", "TXT", "1.1.0")]
    [InlineData("shop.svc.cluster.local", "A", "")]
    [InlineData("1.1.96.10.in-addr.arpa", "PTR", "web.shop.svc.cluster.local")]
    [InlineData("5.0.244.10.in-addr.arpa", "PTR", "db-0.db.shop.svc.cluster.local")]
    [InlineData("out.shop.svc.cluster.local", "CNAME", "example.com")]
    [InlineData("nosuch.shop.svc.cluster.local", "A", null)]
    [InlineData("web.nosuch.svc.cluster.local", "A", null)]
    [InlineData("empty.shop.svc.cluster.local", "A", null)]
    [InlineData("_x._tcp.web.shop.svc.cluster.local", "SRV", null)]
    [InlineData("10-1-2-3.nosuch.pod.cluster.local", "A", null)]
    [InlineData("7.0.244.10.in-addr.arpa", "PTR", null)]
    [InlineData("a.b.c.d.e.cluster.local", "A", null)]
    public void Names_follow_the_specification(string name, string type, string? answer) => Assert.Equal(answer, Ask(name, Enum.Parse<DnsType>(type)));

    [Fact]
    public void An_endpoint_that_goes_takes_its_names_along()
    {
        _directory.Put(null, Slice("db", ("10.244.0.5", "db-0", true), ("10.244.0.6", "", true)));
        Assert.Null(Ask("db.shop.svc.cluster.local", DnsType.A));
        Assert.Null(Ask("5.0.244.10.in-addr.arpa", DnsType.PTR));
    }

    [Fact]
    public void A_service_that_changes_its_address_leaves_no_old_pointer()
    {
        Put("web", "10.96.1.2");
        Assert.Equal("10.96.1.2", Ask("web.shop.svc.cluster.local", DnsType.A));
        Assert.Null(Ask("1.1.96.10.in-addr.arpa", DnsType.PTR));
    }

    [Fact]
    public void Any_name_gets_an_answer_or_none_but_no_exception()
    {
        var label = Gen.Elements("web", "shop", "svc", "pod", "_tcp", "_", "", "1-2-3-4", "db", "ns", "dns", "*");
        var name = from labels in Gen.ArrayOf(label)
            from zone in Gen.Elements("cluster.local", "in-addr.arpa", "ip6.arpa")
            select string.Join('.', labels.Append(zone));
        Prop.ForAll(name.ToArbitrary(), text => Ask(text, DnsType.A) is not "x" && Ask(text, DnsType.SRV) is not "x").MustHold(1000);
    }

    private string? Ask(string name, DnsType type)
    {
        var plan = new KubernetesPlan(["cluster.local", "in-addr.arpa", "ip6.arpa"], 1) { Pods = PodMode.Insecure, Ttl = 30 };
        var zone = plan.Zones.Single(zone => DnsName.IsWithin(name, zone));
        var answer = new ClusterNames(_directory, plan).Find(zone, name.ToLowerInvariant(), name, type);
        return answer is null ? null : string.Join(type == DnsType.SRV ? "," : " ", answer.Answers.Select(record => record.Content switch
        {
            AddressContent address => address.Address.ToString(),
            NameContent target => target.Target,
            ServiceContent s => $"{s.Priority} {s.Weight} {s.Port} {s.Target}",
            TextContent text => text.Texts[0],
            _ => "?",
        }));
    }

    private void Put(string name, string address, List<ServicePort>? ports = null) =>
        _directory.Put(new Service
        {
            Metadata = new() { Name = name, Namespace = "shop" }, Spec = new() { ClusterIP = address, ClusterIPs = [address], Ports = ports ?? [] }
        },
            $"shop/{name}");

    private static EndpointSlice Slice(string service, params (string Address, string Host, bool Ready)[] endpoints) => new()
    {
        Metadata = new() { Name = service + "-1", Namespace = "shop", Labels = new() { ["kubernetes.io/service-name"] = service } },
        Ports = [new() { Name = "sql", Port = 5432 }],
        Endpoints = [.. endpoints.Select(one => new SliceEndpoint
        {
            Addresses = [one.Address], Hostname = one.Host, Conditions = new() { Ready = one.Ready }
        })],
    };
}
