using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;
using static Isthmus.Tests.Operate.GlobalNames.ReplicatedClusters;

namespace Isthmus.Tests.Operate.GlobalNames;

public sealed class GlobalHostsTests
{
    [Fact]
    public void With_the_rewrite_the_call_arrives() => Assert.Empty(Run(One(Rule, Entry()), Two(Rule, Rewrite, Orders)));

    [Fact]
    public void Without_it_the_missing_entry_is_printed_and_mends_the_call()
    {
        var (one, two) = (One(Rule, Entry()), Two(Rule, Orders));
        var finding = Assert.Single(Run(one, two));
        Assert.Equal(("two", "ISM1404", "two"), (finding.Cluster, finding.Problem.Code, finding.Missing!.Cluster));
        var spec = finding.Missing.Object["spec"]!;
        Assert.Equal("orders.shop.global", spec["hosts"]![0]!.ToString());
        Assert.Equal("orders.shop.svc.cluster.local", spec["endpoints"]![0]!["address"]!.ToString());
        Assert.Single(spec["ports"]!.AsArray());
        Assert.NotEqual("240.0.0.2", spec["addresses"]![0]!.ToString());
        Assert.Empty(Run(one, two.With(finding.Missing.Object)));
    }

    [Theory]
    [InlineData("{address: 172.18.0.3, ports: {http1: 30443}}", "ISM1404")] // by the node
    [InlineData("{address: 172.18.202.1}", "ISM1405")] // the port of the gateway was forgotten
    [InlineData("{address: 172.18.0.3, ports: {http1: 31000}}", null)] // somebody else's nodePort
    [InlineData("{address: 203.0.113.7, ports: {http1: 15443}}", null)] // a cluster that is not looked at
    public void An_endpoint_is_recognised_as_the_gateway_by_address_and_port(string endpoint, string? code) =>
        Assert.Equal(code, Run(One(Rule, Entry(endpoint)), Two(Rule, Orders)).SingleOrDefault()?.Problem.Code);

    [Fact]
    public void Another_name_another_port_and_another_zone_are_told_apart()
    {
        var two = Two(Rule, Rewrite, Orders);
        Assert.Equal("ISM1402", Assert.Single(Run(One(Rule, Entry(host: "stock.shop.global")), two)).Problem.Code);
        var port = Assert.Single(Run(One(Rule, Entry(port: 80)), two)).Problem;
        Assert.Equal("ISM1403", port.Code);
        Assert.Contains("no port 80 there (it has 53, 8000)", port.Message, StringComparison.Ordinal);
        Assert.Contains(Run(One(Rule, Entry(host: "orders.shop.everywhere")), two), finding => finding.Problem.Code == "ISM1401");
    }

    [Fact]
    public void Without_a_rule_for_mesh_tls_the_rule_is_printed()
    {
        var finding = Assert.Single(Run(One(Entry()), Two(Rewrite, Orders)));
        Assert.Equal(("ISM1406", "one"), (finding.Problem.Code, finding.Missing!.Cluster));
        Assert.Empty(Run(One(Entry()).With(finding.Missing.Object), Two(Rewrite, Orders)));
    }

    [Fact]
    public void Two_hosts_on_one_address_are_told_of()
    {
        var finding = Assert.Single(Run(One(Rule, Entry(), Entry("{address: 203.0.113.7}", "stock.shop.global", name: "stock"))));
        Assert.Equal(("ISM1407", Isthmus.Core.Problems.Severity.Warning), (finding.Problem.Code, finding.Problem.Severity));
    }

    [Fact]
    public void A_zone_that_nobody_forwards_is_told_of()
    {
        const string dns = """
            apiVersion: v1
            kind: Service
            metadata: {name: istiocoredns, namespace: istio-system}
            spec: {clusterIP: 10.96.0.53, selector: {app: istiocoredns}, ports: [{port: 53, protocol: UDP}]}
            ---
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: istiocoredns, namespace: istio-system}
            spec: {replicas: 1, template: {metadata: {labels: {app: istiocoredns}}, spec: {containers: [{name: app, image: app}]}}}
            """;
        string Corefile(string text) => $$"""
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: coredns, namespace: kube-system}
            data: {Corefile: "{{text}}"}
            """;
        Assert.Equal("ISM1408", Assert.Single(Run(One(dns, Corefile(".:53 { errors }")))).Problem.Code);
        Assert.Empty(Run(One(dns, Corefile("global:53 { forward . 10.96.0.53:53 }"))));
    }

    private static IReadOnlyList<Finding> Run(params ClusterInventory[] clusters) => Isthmus.Operate.Diagnose.Analysis.Analysis.Run(clusters);
}
