using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Agent;
using Isthmus.Testing;
using Isthmus.Wire;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class AgentSettingsTests
{
    private static readonly Dictionary<string, string> Injected = new()
    {
        ["POD_NAME"] = "shop-1", ["POD_NAMESPACE"] = "sample", ["INSTANCE_IP"] = "10.244.0.7", ["SERVICE_ACCOUNT"] = "shop",
        ["JWT_POLICY"] = "third-party-jwt", ["PILOT_CERT_PROVIDER"] = "istiod", ["CA_ADDR"] = "istiod.istio-system.svc:15012",
        ["TRUST_DOMAIN"] = "cluster.local",
        ["PROXY_CONFIG"] = """{"meshId":"mesh1","terminationDrainDuration":"20s"}""",
        ["ISTIO_META_POD_PORTS"] = """[{"name":"http","containerPort":80}]""",
        ["ISTIO_META_CLUSTER_ID"] = "cluster1", ["ISTIO_META_NETWORK"] = "network1", ["ISTIO_META_MESH_ID"] = "mesh1", ["ISTIO_META_DNS_CAPTURE"] = "true",
        ["ISTIO_META_WORKLOAD_NAME"] = "shop", ["ISTIO_META_INTERCEPTION_MODE"] = "REDIRECT", ["ISTIO_METAJSON_EXTRA"] = """{"a":1}""",
    };

    [Fact]
    public void Injected_environment_makes_the_node_that_control_planes_expect()
    {
        var node = AgentNode.Build(Read(), new Dictionary<string, string> { ["app"] = "shop", ["service.istio.io/canonical-name"] = "shop" },
            new Dictionary<string, string>());

        Golden.Verify(JsonNode.Parse(WireTypes.Json.Format(node))!.ToJsonString(new JsonSerializerOptions { WriteIndented = true }), "node");
    }

    [Theory]
    [InlineData("{}", null, int.MaxValue)]
    [InlineData("{}", "7", 7)]
    [InlineData("""{"connectionSettings": {"globalDownstreamConnectionLimit": 5}}""", "7", 5)]
    public void The_limit_of_connections_is_that_of_the_field_or_of_the_older_variable(string config, string? variable, int most)
    {
        var environment = new Dictionary<string, string>(Injected) { ["PROXY_CONFIG"] = config };
        if (variable is not null) environment["ISTIO_META_GLOBAL_DOWNSTREAM_MAX_CONNECTIONS"] = variable;
        Assert.Equal(most, AgentSettings.Read("sidecar", "", environment).MaxConnections);
        environment["PROXY_CONFIG"] = """{"connectionSettings": {"globalDownstreamConnectionLimit": 0}}""";
        Assert.Contains("globalDownstreamConnectionLimit", Assert.Throws<ProblemException>(() => AgentSettings.Read("sidecar", "", environment)).Message);
    }

    [Theory]
    [InlineData("{}", true)]
    [InlineData("""{"statsCompression": true}""", true)]
    [InlineData("""{"statsCompression": false}""", false)]
    [InlineData("""{"statsCompression": "false"}""", false)] // from the variable of a container that a template writes
    public void Scrapes_are_compressed_unless_ProxyConfig_says_otherwise(string config, bool compresses) =>
        Assert.Equal(compresses, AgentSettings.Read("sidecar", "", new Dictionary<string, string>(Injected) { ["PROXY_CONFIG"] = config }).StatsCompression);

    [Fact]
    public void Defaults_are_those_of_the_mesh_that_was_installed_by_default()
    {
        var settings = AgentSettings.Read("router", "",
            new Dictionary<string, string> { ["POD_NAME"] = "gw", ["POD_NAMESPACE"] = "istio-system", ["INSTANCE_IP"] = "10.0.0.1" });

        Assert.Equal(("istiod.istio-system.svc:15012", "istiod.istio-system.svc:15012", "Kubernetes", "istio-system.svc.cluster.local"),
            (settings.Discovery.ToString(), settings.CertificateAuthority.ToString(), settings.ClusterId, settings.Domain));
        Assert.Equal(("/var/run/secrets/tokens/istio-token", "/var/run/secrets/istio/root-cert.pem"), (settings.TokenFile, settings.RootFile));
        Assert.Equal((TimeSpan.FromHours(24), 15020, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(45)),
            (settings.CertificateLifetime, settings.StatusPort, settings.DrainTime, settings.ListenerDrainTime));
        Assert.False(settings.CaptureDns);
    }

    [Theory]
    [InlineData("POD_NAME", "", "POD_NAME")]
    [InlineData("PROXY_CONFIG", "discoveryAddress: x", "PROXY_CONFIG")]
    [InlineData("PROXY_CONFIG", """{"statusPort":"x"}""", "PROXY_CONFIG")]
    [InlineData("PROXY_CONFIG", """{"discoveryAddress":"istiod"}""", "discoveryAddress")]
    [InlineData("CA_ADDR", "istiod:99999", "CA_ADDR")]
    [InlineData("JWT_POLICY", "fourth-party", "JWT_POLICY")]
    [InlineData("SECRET_TTL", "a day", "SECRET_TTL")]
    public void Unusable_variable_is_named(string name, string value, string named)
    {
        var e = Assert.Throws<ProblemException>(() => AgentSettings.Read("sidecar", "", new Dictionary<string, string>(Injected) { [name] = value }));
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Downward_file_is_unquoted() => Assert.Equal(
        new Dictionary<string, string> { ["app"] = "shop", ["note"] = "a \"b\"\nc=d" },
        DownwardFile.Parse("app=\"shop\"\nnote=\"a \\\"b\\\"\\nc=d\"\nbroken\nworse=\"x\n"));

    private static AgentSettings Read() => AgentSettings.Read("sidecar", "sample.svc.cluster.local", Injected);
}
