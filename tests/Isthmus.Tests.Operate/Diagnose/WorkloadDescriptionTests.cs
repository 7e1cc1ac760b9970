using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class WorkloadDescriptionTests
{
    private const string Objects = """
        {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web, version: v1}},
         spec: {containers: [{name: web, ports: [{name: main, containerPort: 8080}]}, {name: istio-proxy}]}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: bare, namespace: shop, labels: {app: bare}}, spec: {containers: [{name: web}]}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
         spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: main}, {name: tcp-db, port: 81, targetPort: lost}]}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: other, namespace: shop}, spec: {selector: {app: other}, ports: [{port: 80}]}}
        ---
        {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: rule, namespace: shop},
         spec: {host: web, trafficPolicy: {tls: {mode: DISABLE}}, subsets: [{name: one, labels: {version: v1}}, {name: two, labels: {version: v2}}]}}
        ---
        {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: elsewhere, namespace: shop}, spec: {host: other}}
        ---
        {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: routes, namespace: shop}, spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}}
        ---
        {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: istio-system}, spec: {mtls: {mode: PERMISSIVE}}}
        ---
        {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: locked, namespace: shop}, spec: {mtls: {mode: STRICT}}}
        ---
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: closed, namespace: shop}, spec: {selector: {matchLabels: {app: web}}, action: DENY, rules: [{}]}}
        ---
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: others, namespace: shop}, spec: {selector: {matchLabels: {app: other}}, rules: [{}]}}
        """;

    private static readonly ClusterInventory Cluster = ClusterInventory.From("c1", YamlText.ParseAll(Objects, "test").OfType<JsonObject>());

    [Fact]
    public void What_affects_a_Pod_is_found_and_nothing_else()
    {
        var found = WorkloadDescription.Of(Cluster, Cluster, "shop", "web-1");
        Assert.True(found.HasProxy);
        var service = Assert.Single(found.Services);
        Assert.Equal("shop/web", service.Name);
        Assert.Equal(["http 80/HTTP targets pod port 8080", "tcp-db 81/TCP targets pod port lost, which no container of the Pod names"], service.Ports);
        var rule = Assert.Single(service.Rules);
        Assert.Equal(("shop/rule", "one", "two", "TLS mode DISABLE"),
            (rule.Name, Assert.Single(rule.Matching), Assert.Single(rule.Others), Assert.Single(rule.Settings)));
        Assert.Equal(("shop/routes", 1, 0), (Assert.Single(service.Routes).Name, service.Routes[0].Http, service.Routes[0].Tcp));
        Assert.Equal("STRICT", found.Mode);
        Assert.Equal(["istio-system/default", "shop/locked"], found.ModeOf);
        Assert.Equal(["shop/closed (DENY)"], found.Policies);
    }

    [Fact]
    public void Policies_for_all_are_those_of_the_root_namespace_that_MeshConfig_names()
    {
        var cluster = Cluster.With(YamlText.ParseAll("""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "rootNamespace: policies"}}
            ---
            {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: locked, namespace: shop},
             spec: {selector: {matchLabels: {app: none}}}}
            ---
            {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: policies}, spec: {mtls: {mode: DISABLE}}}
            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: all, namespace: policies}, spec: {rules: [{}]}}
            """, "test").OfType<JsonObject>());
        Assert.Equal(("policies", "istio-system"), (cluster.RootNamespace, cluster.SystemNamespace));
        var found = WorkloadDescription.Of(cluster, cluster, "shop", "web-1");
        Assert.Equal("DISABLE", found.Mode);
        Assert.Equal(["policies/default"], found.ModeOf);
        Assert.Equal(["policies/all (ALLOW)", "shop/closed (DENY)"], found.Policies.Order());
    }

    [Fact]
    public void A_Service_is_described_without_a_Pod()
    {
        var service = WorkloadDescription.Describe(Cluster, Cluster.Service("shop", "web")!, null);
        Assert.Equal("http 80/HTTP targets port main", service.Ports[0]);
        Assert.Equal((0, 2), (service.Rules[0].Matching.Count, service.Rules[0].Others.Count));
    }

    [Fact]
    public void What_other_clusters_have_is_described_with_what_is_wrong_between_them()
    {
        const string plane =
            "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}, spec: {containers: [{name: "
                + "discovery}]}}";
        const string there = """
            {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 88}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web-9, namespace: shop, labels: {app: web}}, spec: {containers: [{name: web}, {name: istio-proxy}]},
             status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}
            ---
            {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: open, namespace: shop}, spec: {mtls: {mode: DISABLE}}}
            """;
        ClusterInventory Read(string context, string text) => ClusterInventory.From(context, YamlText.ParseAll(text, context).OfType<JsonObject>());
        var found = MeshDescription.OfPod([Read("c1", Objects + plane), Read("c2", there + plane), Read("c3", there), Read("c4", plane[5..]),
            ClusterInventory.Unreadable("c5", "connection refused")],
            "shop", "web-1");
        Assert.Equal(("c1", "c1", "STRICT"), (found.Cluster, found.Config, found.Pod!.Mode));
        Assert.Equal(["c2", "c3", "c4", "c5"], found.Elsewhere.Select(one => one.There.Cluster));
        var (second, remote, lacking, silent) = (found.Elsewhere[0].There, found.Elsewhere[1].There, found.Elsewhere[2].There, found.Elsewhere[3].There);
        Assert.Equal(("c2", 1, 1, "DISABLE", 0), (second.Config, second.Pods.All, second.Pods.Ready, second.Pod!.Mode, second.Service!.Routes.Count));
        // Without a control plane of its own, its objects do not count, and those of the first primary do.
        Assert.Equal(("c1", "STRICT", "shop/routes"), (remote.Config, remote.Pod!.Mode, remote.Service!.Routes.Single().Name));
        Assert.Equal((null, ""), (lacking.Service, lacking.Error));
        Assert.Equal("connection refused", silent.Error);
        Assert.Contains(found.Problems, finding => finding is { Cluster: "c2", Problem: { Code: "IST0170", Object: "Service shop/web" } });
        Assert.DoesNotContain(found.Problems, finding => finding.Problem.Object == "Service shop/other");
        Assert.Equal("shop/web", MeshDescription.OfService([Read("c1", Objects), Read("c2", there)], "shop", "web").Services.Single().Name);
    }

    [Fact]
    public void A_Pod_without_sidecar_and_one_that_does_not_exist()
    {
        var bare = WorkloadDescription.Of(Cluster, Cluster, "shop", "bare");
        Assert.Equal((false, 0), (bare.HasProxy, bare.Services.Count));
        Assert.Contains("does not exist", Assert.Throws<ProblemException>(() => WorkloadDescription.Of(Cluster, Cluster, "shop", "none")).Message,
            StringComparison.Ordinal);
    }
}
