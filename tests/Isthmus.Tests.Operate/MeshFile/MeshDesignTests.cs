using System.Diagnostics;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.MeshFile;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

public sealed class MeshDesignTests
{
    [Fact]
    public void Every_control_plane_watches_every_other_cluster_and_remotes_watch_none()
    {
        var design = Design("  clusters: [{name: a}, {name: b}, {name: c, primaries: [a]}]\n");
        Assert.Equal([new("b", "a"), new("c", "a"), new("a", "b"), new("c", "b")], design.Watches());
    }

    [Theory]
    [InlineData("  clusters: [{name: a}, {name: b}]\n", "")]
    [InlineData("  networks: [{name: x}, {name: m}]\n  clusters: [{name: a, network: x}, {name: b, network: m}, {name: c, network: m}]\n", "a b c")]
    [InlineData(
        "  networks: [{name: x}, {name: m, gateway: {clusters: [c]}}]\n  clusters: [{name: a, network: x}, {name: b, network: m}, {name: c, network: m}]\n",
        "a c")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [a]}]\n", "a")]
    public void Gateways_stand_where_other_networks_or_remotes_call(string spec, string clusters)
    {
        var design = Design(spec);
        Assert.Equal(clusters, string.Join(" ", design.Mesh.Clusters.Where(design.HasGateway).Select(cluster => cluster.Name)));
    }

    /// <summary>Istio calls ISTIO_META_DNS_AUTO_ALLOCATE deprecated: what captures DNS gets addresses without it.</summary>
    [Fact]
    public void Proxies_capture_DNS_by_default_and_are_told_nothing_more()
    {
        var design = Design("  clusters: [{name: a}]\n");
        foreach (var spec in (OperatorSpec[])[design.Installation(design.Mesh.Cluster("a"), ""), OperatorSpec.Build([], [], null)])
        {
            var map = Manifests.Render(spec).SelectMany(component => component.Objects)
                .Single(one => one["kind"]!.ToString() == "ConfigMap" && one["metadata"]!["name"]!.ToString() == "istio");
            var mesh = YamlText.Parse(map["data"]!["mesh"]!.ToString(), "mesh")!;
            Assert.Equal("""{"ISTIO_META_DNS_CAPTURE":"true"}""", mesh["defaultConfig"]!["proxyMetadata"]!.ToJsonString());
        }
    }

    [Fact]
    public void A_remote_gets_the_profile_the_annotation_and_the_address_and_its_primary_serves_others()
    {
        var design = Design("  clusters: [{name: a}, {name: b, primaries: [a]}]\n");
        var (primary, remote) = (design.Mesh.Cluster("a"), design.Mesh.Cluster("b"));
        var installation = design.Installation(remote, "192.0.2.7");
        Assert.Equal(("remote", "192.0.2.7", "b"),
            (installation.Profile, installation.Value("global", "remotePilotAddress")!.ToString(), installation.ClusterName));
        Assert.Equal("true", design.Installation(primary, "").Value("pilot", "env", "EXTERNAL_ISTIOD")!.ToString());
        Assert.Equal("a", design.Namespace(remote)["metadata"]!["annotations"]!["topology.istio.io/controlPlaneClusters"]!.ToString());
        Assert.Equal(["Gateway istiod-gateway", "VirtualService istiod-vs"],
            design.Exposure(primary).Select(value => $"{value["kind"]} {value["metadata"]!["name"]}"));
        Assert.False(MeshDesign.HasAuthority(remote));
    }

    [Fact]
    public void A_remote_finds_all_its_primaries_behind_one_Service()
    {
        var design = Design("  clusters: [{name: a}, {name: b}, {name: c, primaries: [a, b]}]\n");
        var objects = Manifests.Render(design.Installation(design.Mesh.Cluster("c"), MeshDesign.Discovery(["192.0.2.7", "192.0.2.8"])))
            .SelectMany(component => component.Objects);
        var slice = Assert.Single(objects, value => value["kind"]!.ToString() == "EndpointSlice");
        Assert.Equal(["192.0.2.7", "192.0.2.8"], slice["endpoints"]!.AsArray().Select(endpoint => endpoint!["addresses"]![0]!.ToString()));
        Assert.Equal("gateway.example.com", MeshDesign.Discovery(["gateway.example.com", "192.0.2.8"]));
    }

    [Fact]
    public void Clusters_that_are_joined_by_names_watch_nobody_and_need_no_east_west_gateway()
    {
        var design = new MeshDesign(MeshReader.Read(Topologies.Write("replicated-control-planes", 2), "mesh.yaml", ""));
        Assert.Empty(design.Watches());
        Assert.All(design.Mesh.Clusters, cluster => Assert.False(design.HasGateway(cluster)));
        var objects = Manifests.Render(design.Installation(design.Mesh.Clusters[0], "")).SelectMany(component => component.Objects)
            .Select(value => $"{value["kind"]} {value["metadata"]!["name"]}").ToList();
        Assert.Contains("Deployment istiocoredns", objects);
        Assert.Contains("Deployment istio-ingressgateway", objects);
    }

    [Fact]
    public void A_control_plane_elsewhere_makes_a_mesh_of_its_own_behind_the_gateway_of_its_host()
    {
        var design = new MeshDesign(MeshReader.Read(Topologies.Write("external-control-plane", 2), "mesh.yaml", ""));
        var (host, cluster) = (design.Mesh.Cluster("cluster1"), design.Mesh.Cluster("cluster2"));
        Assert.Empty(design.Watches());
        Assert.Equal((true, false), (design.HasGateway(host), design.HasGateway(cluster)));
        Assert.Empty(design.Exposure(host));
        var installation = design.Installation(cluster, "192.0.2.7");
        Assert.Equal(("external", "external-istiod", true), (installation.Profile, installation.Namespace, installation.IsConfigCluster));
        Assert.Contains("istiod.external-istiod.svc", design.HostedPlace(cluster).Exposure[0].ToJsonString(), StringComparison.Ordinal);
        Assert.Equal("cluster2", design.HostedControlPlane(cluster).ClusterName);
    }

    [Fact]
    public void What_a_cluster_sets_wins_over_what_the_mesh_sets_and_the_file_decides_names()
    {
        var design = Design(
            "  install: {profile: minimal, meshConfig: {accessLogFile: /dev/stdout}}\n  clusters: [{name: a}, {name: b, install: {meshConfig: {accessLogFile: "
                + "/tmp/x}}}]\n");
        var installation = design.Installation(design.Mesh.Cluster("b"), "");
        Assert.Equal(("minimal", "/tmp/x", "b", "mesh1"),
            (installation.Profile, installation.MeshConfig["accessLogFile"]!.ToString(), installation.ClusterName,
                installation.Value("global", "meshID")!.ToString()));
    }

    /// <summary>Users have the script, and programs the class: both must produce the same.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("blue")]
    public async Task The_gateway_is_what_the_script_for_people_prints(string revision)
    {
        var start = new ProcessStartInfo("sh",
            [Repository.At("samples/multicluster/gen-eastwest-gateway.sh"), "--network", "north",
                .. revision.Length == 0 ? (string[])[] : ["--revision", revision]])
            {
                RedirectStandardOutput = true
            };
        using var script = Process.Start(start)!;
        var printed = YamlText.Parse(await script.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), "script");
        Assert.True(JsonNode.DeepEquals(printed, YamlText.Parse(YamlText.Print(EastWestGateway.Operator("north", revision, [])), "class")));
    }

    public static TheoryData<string, int> All => [.. Topologies.Names.SelectMany(name => new[] { 2, 3, 5 }.Select(clusters => (name, clusters)))];

    [Theory]
    [MemberData(nameof(All))]
    public void Every_topology_is_a_valid_mesh_file(string name, int clusters)
    {
        var mesh = MeshReader.Read(Topologies.Write(name, clusters), "mesh.yaml", "");
        Assert.Equal(clusters, mesh.Clusters.Count);
        Assert.Equal(name.EndsWith("multi-network", StringComparison.Ordinal) || name is "replicated-control-planes" or "external-control-plane" ? clusters : 1,
            mesh.Networks.Count);
        Assert.Equal(name.StartsWith("primary-remote", StringComparison.Ordinal) || name == "external-control-plane" ? clusters - 1 : 0,
            mesh.Clusters.Count(cluster => !cluster.IsPrimary));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_template_lets_namespaces_configure_only_their_own_hosts(string name, int clusters)
    {
        var mesh = MeshReader.Read(Topologies.Template(name, clusters, "minimal"), "mesh.yaml", "");
        Assert.Equal("""{"profile":"minimal","meshConfig":{"hostOwnership":"NAMESPACE"}}""", mesh.Install.ToJsonString());
    }

    private static MeshDesign Design(string spec) => new(MeshReaderTests.Read(spec));

    [Fact]
    public void Gateways_get_the_images_and_credentials_of_the_installation()
    {
        var file = Topologies.Write("multi-primary-multi-network", 2)
            .Replace("spec:\n", "spec:\n  install: {hub: example.com, tag: '1', values: {global: {imagePullPolicy: Never, imagePullSecrets: [regcred]}}}\n",
                StringComparison.Ordinal);
        var design = new MeshDesign(MeshReader.Read(file, "mesh.yaml", ""));
        var gateway = design.Gateway(design.Mesh.Clusters[0]);
        Assert.Equal(("example.com/isthmus:1", "Never", """["regcred"]"""),
            (gateway.Image("isthmus"), gateway.Value("global", "imagePullPolicy")!.ToString(), gateway.Value("global", "imagePullSecrets")!.ToJsonString()));
        Assert.Empty(design.Warnings);
    }

    [Theory]
    [InlineData("networkPolicy: {enabled: true}", "NetworkPolicy istio-eastwestgateway")]
    [InlineData("imagePullPolicy: Never", "")]
    public void Gateways_leave_only_their_ports_open_where_control_planes_do(string global, string policy)
    {
        var file = Topologies.Write("multi-primary-multi-network", 2)
            .Replace("spec:\n", $"spec:\n  install: {{values: {{global: {{{global}}}}}}}\n", StringComparison.Ordinal);
        var design = new MeshDesign(MeshReader.Read(file, "mesh.yaml", ""));
        var objects = Manifests.Render(design.Gateway(design.Mesh.Clusters[0])).SelectMany(component => component.Objects);
        var found = objects.Where(value => value["kind"]!.ToString() == "NetworkPolicy").ToList();
        Assert.Equal(policy, string.Join(", ", found.Select(value => $"{value["kind"]} {value["metadata"]!["name"]}")));
        if (policy.Length > 0) Assert.Contains(Ports.EastWest, found[0]["spec"]!["ingress"]![0]!["ports"]!.AsArray().Select(port => (int)port!["port"]!));
    }

    [Fact]
    public void What_has_no_effect_below_install_is_said_once()
    {
        var file = Topologies.Write("multi-primary", 2).Replace("spec:\n", "spec:\n  install: {values: {global: {netwrk: x}}}\n", StringComparison.Ordinal);
        Assert.Equal(["mesh.yaml: values.global.netwrk: is not a known field; 'x' has no effect (did you mean values.global.network?)"],
            new MeshDesign(MeshReader.Read(file, "mesh.yaml", "")).Warnings.Select(warning => warning.ToString()));
    }
}
