using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>The example file of replicated control planes.</summary>
public sealed class ReplicatedManifestTests
{
    [Fact]
    public void It_installs_dns_for_the_global_zone_with_both_containers()
    {
        var objects = Render();
        var containers = Find(objects, "Deployment", "istiocoredns")["spec"]!["template"]!["spec"]!["containers"]!.AsArray();
        Assert.Equal(["coredns", "istio-coredns-plugin"], containers.Select(container => container!["name"]!.ToString()));
        Assert.Contains("grpc global 127.0.0.1:8053", Find(objects, "ConfigMap", "coredns")["data"]!["Corefile"]!.ToString(), StringComparison.Ordinal);
        Assert.Equal(["UDP", "TCP"], Find(objects, "Service", "istiocoredns")["spec"]!["ports"]!.AsArray().Select(port => port!["protocol"]!.ToString()));
        var mesh = YamlText.Parse(Find(objects, "ConfigMap", "istio")["data"]!["mesh"]!.ToString(), "mesh");
        Assert.Equal("false", mesh!["defaultConfig"]!["proxyMetadata"]!["ISTIO_META_DNS_CAPTURE"]!.ToString());
    }

    [Fact]
    public void It_opens_15443_of_the_ingress_gateway_and_rewrites_there()
    {
        var objects = Render();
        Assert.Contains(Find(objects, "Service", "istio-ingressgateway")["spec"]!["ports"]!.AsArray(), port => (int)port!["port"]! == 15443);
        Assert.Equal("*.global", Find(objects, "DestinationRule", Name)["spec"]!["host"]!.ToString());
        Assert.Equal("AUTO_PASSTHROUGH", Find(objects, "Gateway", Name)["spec"]!["servers"]![0]!["tls"]!["mode"]!.ToString());
        Assert.Empty(Isthmus.Mesh.Config.Validation.Check(Find(objects, "EnvoyFilter", Name)));
        Assert.Contains("sni-dnat", Find(objects, "Deployment", "istio-ingressgateway").ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_rewrite_can_be_left_out_and_the_zone_be_called_otherwise()
    {
        var objects = Render("values.global.multiCluster.includeEnvoyFilter=false", "values.global.multiCluster.globalDomainSuffix=everywhere");
        Assert.DoesNotContain(objects, value => value["kind"]!.ToString() == "EnvoyFilter");
        Assert.Equal("*.everywhere", Find(objects, "Gateway", Name)["spec"]!["servers"]![0]!["hosts"]![0]!.ToString());
    }

    [Fact]
    public void Other_installations_have_none_of_it()
    {
        var objects = Manifests.Render(OperatorSpec.Build([], [], null)).SelectMany(component => component.Objects).ToList();
        Assert.DoesNotContain(objects,
            value => value["kind"]!.ToString() is "Gateway" or "EnvoyFilter" or "DestinationRule" || value["metadata"]!["name"]!.ToString() == "istiocoredns");
        Assert.DoesNotContain("sni-dnat", Find(objects, "Deployment", "istio-ingressgateway").ToJsonString(), StringComparison.Ordinal);
    }

    private const string Name = "istio-multicluster-ingressgateway";

    private static List<JsonObject> Render(params string[] sets)
    {
        var file = Path.Combine(Repository.Root, "manifests", "examples", "multicluster", "values-istio-multicluster-gateways.yaml");
        return [.. Manifests.Render(OperatorSpec.Build([(file, File.ReadAllText(file))], sets, null)).SelectMany(component => component.Objects)];
    }

    private static JsonObject Find(IEnumerable<JsonObject> objects, string kind, string name) =>
        objects.Single(value => value["kind"]!.ToString() == kind && value["metadata"]!["name"]!.ToString() == name);
}
