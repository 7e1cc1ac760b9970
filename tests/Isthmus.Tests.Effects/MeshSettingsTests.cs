using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Upstreams;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary>MeshConfig: what a setting changes at proxies, and what becomes of those that have no effect or are wrong.</summary>
public sealed class MeshSettingsTests
{
    private const string External = """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: far, namespace: shop}
        spec: {hosts: [far.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
        """;

    [Theory]
    [InlineData("{}", "", false)]
    [InlineData("h2UpgradePolicy: UPGRADE", "", true)]
    [InlineData("h2UpgradePolicy: UPGRADE", "DO_NOT_UPGRADE", false)]
    [InlineData("h2UpgradePolicy: UPGRADE", "DEFAULT", true)]
    [InlineData("h2UpgradePolicy: DO_NOT_UPGRADE", "UPGRADE", true)]
    public void Sidecars_speak_HTTP_2_where_the_mesh_says_so_and_no_rule_objects(string settings, string rule, bool upgrades)
    {
        var cluster = Outbound(settings, rule.Length == 0 ? "" : Rule($"http: {{h2UpgradePolicy: {rule}}}"));
        Assert.Equal(upgrades,
            cluster.TypedExtensionProtocolOptions.Values.Any(
                options => options.Unpack<HttpProtocolOptions>().ExplicitHttpConfig?.Http2ProtocolOptions is not null));
    }

    [Fact]
    public void Connections_are_kept_alive_as_the_mesh_says_unless_a_rule_does()
    {
        const string settings = "tcpKeepalive: {probes: 3, time: 30s, interval: 5s}";
        Assert.Null(Outbound("{}", "").UpstreamConnectionOptions);
        var keepalive = Outbound(settings, "").UpstreamConnectionOptions.TcpKeepalive;
        Assert.Equal((3u, 30u, 5u), (keepalive.KeepaliveProbes, keepalive.KeepaliveTime, keepalive.KeepaliveInterval));
        Assert.Equal(60u, Outbound(settings, Rule("tcp: {tcpKeepalive: {time: 60s}}")).UpstreamConnectionOptions.TcpKeepalive.KeepaliveTime);
    }

    [Theory]
    [InlineData("", 7u, 3u)]
    [InlineData("tcp: {connectTimeout: 1s}", uint.MaxValue, 3u)]
    [InlineData("tcp: {maxConnections: 5}", 5u, 3u)]
    public void Hosts_have_the_limits_and_the_outlier_detection_of_the_mesh_unless_a_rule_has_its_own(string pool, uint connections, uint errors)
    {
        const string settings = "defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}, outlierDetection: {consecutive5xxErrors: 3}}";
        var cluster = Outbound(settings, pool.Length == 0 ? "" : Rule(pool));
        Assert.Equal((connections, errors), (cluster.CircuitBreakers.Thresholds[0].MaxConnections, cluster.OutlierDetection.Consecutive5Xx));
    }

    [Fact]
    public void The_limits_of_the_mesh_are_those_of_the_application_and_of_unknown_hosts_too()
    {
        var rig = Rig("defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 7, connectTimeout: 2s}}, outlierDetection: {consecutive5xxErrors: 3}}");
        var feed = rig.Sidecar("c1", "web-10.244.0.1", "10.244.0.1");
        rig.Push();
        foreach (var name in (string[])["inbound|8080||", "PassthroughCluster"])
        {
            var cluster = MeshRig.Cluster(feed, name)!;
            Assert.Equal((7u, TimeSpan.FromSeconds(2)), (cluster.CircuitBreakers.Thresholds[0].MaxConnections, cluster.ConnectTimeout.ToTimeSpan()));
            // There is nowhere else to go.
            Assert.Null(cluster.OutlierDetection);
        }
        Assert.Equal(uint.MaxValue, MeshRig.Cluster(feed, "InboundPassthroughClusterIpv4")!.CircuitBreakers.Thresholds[0].MaxConnections);
    }

    /// <summary>With it, proxies leave a locality that fails.</summary>
    [Fact]
    public void The_outlier_detection_of_the_mesh_lets_requests_leave_a_locality()
    {
        static string Priorities(string settings)
        {
            var rig = Rig(settings);
            rig.Config("""
                apiVersion: networking.istio.io/v1
                kind: ServiceEntry
                metadata: {name: far, namespace: shop}
                spec: {hosts: [far.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC,
                  endpoints: [{address: 192.0.2.1, labels: {version: v1}}, {address: 192.0.2.2, labels: {version: v2}}]}
                """);
            var feed = rig.Sidecar("c1");
            rig.Push();
            Assert.True(feed.Snapshot!.Types[TypeUrls.Endpoints].TryGet("outbound|80||far.example", out var resource));
            return string.Join(' ',
                ClusterLoadAssignment.Parser.ParseFrom(resource.Body.Value).Endpoints.SelectMany(group => group.LbEndpoints.Select(_ => group.Priority)));
        }
        Assert.Equal("0 0", Priorities("{}"));
        Assert.Equal("0 1",
            Priorities("{defaultTrafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}, localityLbSetting: {failoverPriority: ['version=v1']}}"));
    }

    [Fact]
    public void Names_are_resolved_as_often_as_the_mesh_says()
    {
        var rig = Rig("dnsRefreshRate: 7s");
        rig.Config(External);
        var feed = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(TimeSpan.FromSeconds(7), MeshRig.Cluster(feed, "outbound|80||far.example")!.DnsRefreshRate.ToTimeSpan());
    }

    [Theory]
    [InlineData("{}", Cluster.Types.DiscoveryType.OriginalDst)]
    [InlineData("inboundTrafficPolicy: {mode: PASSTHROUGH}", Cluster.Types.DiscoveryType.OriginalDst)]
    [InlineData("inboundTrafficPolicy: {mode: LOCALHOST}", Cluster.Types.DiscoveryType.Static)]
    public void Sidecars_call_their_application_where_the_mesh_says(string settings, Cluster.Types.DiscoveryType type)
    {
        var rig = Rig(settings);
        var feed = rig.Sidecar("c1", "web-10.244.0.1", "10.244.0.1");
        rig.Push();
        var cluster = MeshRig.Cluster(feed, "inbound|8080||")!;
        Assert.Equal(type, cluster.Type);
        if (type == Cluster.Types.DiscoveryType.Static)
            Assert.Equal(("127.0.0.1", 8080u),
                (cluster.LoadAssignment.Endpoints[0].LbEndpoints[0].Endpoint.Address.SocketAddress.Address,
                    cluster.LoadAssignment.Endpoints[0].LbEndpoints[0].Endpoint.Address.SocketAddress.PortValue));
    }

    [Theory]
    [InlineData("accessLogFile: /dev/stdout", 1)]
    [InlineData("{accessLogFile: /dev/stdout, disableEnvoyListenerLog: true}", 0)]
    public void Listeners_log_what_matches_no_chain_unless_the_mesh_says_no(string settings, int logs)
    {
        var rig = Rig(settings);
        var feed = rig.Sidecar("c1", "web-10.244.0.1", "10.244.0.1");
        rig.Push();
        foreach (var name in (string[])["virtualInbound", "virtualOutbound"]) Assert.Equal(logs, MeshRig.Listener(feed, name)!.AccessLog.Count);
    }

    [Fact]
    public void Retries_of_the_mesh_have_all_fields_of_those_of_a_route()
    {
        var rig = Rig("defaultHttpRetryPolicy: {attempts: 4, perTryTimeout: 3s, retryOn: 5xx, backoff: 250ms, retryIgnorePreviousHosts: false}");
        var feed = rig.Sidecar("c1");
        rig.Push();
        var policy = MeshRig.Route(feed, "80")!.VirtualHosts.Single(host => host.Name.StartsWith("web.",
            StringComparison.Ordinal)).Routes[0].Route_.RetryPolicy;
        Assert.Equal((4u, "5xx", TimeSpan.FromMilliseconds(250), 0),
            (policy.NumRetries, policy.RetryOn, policy.RetryBackOff.BaseInterval.ToTimeSpan(), policy.RetryHostPredicate.Count));
    }

    [Theory]
    [InlineData("[{matchLabels: {team: a}}]", true, false)]
    [InlineData("[{matchLabels: {team: b}}]", false, true)]
    [InlineData("[{matchLabels: {team: a, stage: test}}]", false, false)]
    [InlineData("[{matchLabels: {team: a}}, {matchLabels: {team: b}}]", true, true)]
    [InlineData("[{matchExpressions: [{key: team, operator: In, values: [b, c]}]}]", false, true)]
    [InlineData("[{matchExpressions: [{key: team, operator: NotIn, values: [b]}]}]", true, false)]
    [InlineData("[{matchExpressions: [{key: stage, operator: Exists}]}]", false, true)]
    [InlineData("[{matchExpressions: [{key: stage, operator: DoesNotExist}]}]", true, false)]
    public void Proxies_know_only_what_is_in_namespaces_that_the_selectors_select(string selectors, bool shop, bool other)
    {
        var rig = new MeshRig("c1");
        var feed = TwoNamespaces(rig);
        Assert.Equal((true, true), Known(rig, feed));
        rig.Settings($"discoverySelectors: {selectors}");
        Assert.Equal((shop, other), Known(rig, feed));
        // Live: of the settings, and of the labels.
        rig.Settings("{}");
        Assert.Equal((true, true), Known(rig, feed));
    }

    [Fact]
    public void A_namespace_is_discovered_when_its_labels_change()
    {
        var rig = new MeshRig("c1");
        var feed = TwoNamespaces(rig);
        rig.Settings("discoverySelectors: [{matchLabels: {mesh: yes-please}}]");
        Assert.Equal((false, false), Known(rig, feed));
        rig.Writer.Put("c1", new Namespace { Metadata = new() { Name = "shop", Labels = { ["mesh"] = "yes-please" } } });
        Assert.Equal((true, false), Known(rig, feed));
        Assert.Equal(TimeSpan.FromMilliseconds(100), MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!.ConnectTimeout.ToTimeSpan());
    }

    [Theory]
    [InlineData("discoverySelectors: [{matchExpressions: [{key: team, operator: Near}]}]", "discoverySelectors[0].matchExpressions[0].operator",
        "unsupported value \"Near\"")]
    [InlineData("discoverySelectors: [{matchExpressions: [{key: team, operator: In}]}]", "discoverySelectors[0].matchExpressions[0].values",
        "must not be empty with In")]
    [InlineData("discoverySelectors: [{matchExpressions: [{key: team, operator: Exists, values: [a]}]}]", "discoverySelectors[0].matchExpressions[0].values",
        "must be empty with Exists")]
    [InlineData("discoverySelectors: [{matchLabel: {team: a}}]", "discoverySelectors[0].matchLabel", "unknown field \"matchLabel\"")]
    [InlineData("connectTimeout: soon", "connectTimeout", "\"soon\" is not a duration")]
    [InlineData("enableAutoMtls: maybe", "enableAutoMtls", "must be a boolean, not a string")]
    [InlineData("outboundTrafficPolicy: {mode: SOME}", "outboundTrafficPolicy.mode", "unsupported value \"SOME\"")]
    [InlineData("inboundTrafficPolicy: {mode: SOME}", "inboundTrafficPolicy.mode", "unsupported value \"SOME\"")]
    [InlineData("accessLogEncoding: XML", "accessLogEncoding", "unsupported value \"XML\"")]
    [InlineData("ca: {address: 'ca:1'}", "ca", "the control plane is the only certificate authority")]
    [InlineData("caCertificates: [{pem: x}]", "caCertificates", "the control plane is the only certificate authority")]
    [InlineData("certificates: [{secretName: x}]", "certificates", "the control plane is the only certificate authority")]
    [InlineData("configSources: [{address: 'fs:///x'}]", "configSources", "resources are read from the API server of the configuration cluster only")]
    [InlineData("proxyHttpPort: 15007", "proxyHttpPort", "sidecars have no port for HTTP proxy requests")]
    [InlineData("meshMTLS: {ecdhCurves: [P-256]}", "meshMTLS.ecdhCurves", "key exchange groups cannot be chosen")]
    [InlineData("defaultConfig: {concurrency: two}", "defaultConfig.concurrency", "must be an integer, not a string")]
    [InlineData("defaultConfig: {privateKeyProvider: {}}", "defaultConfig.privateKeyProvider", "private keys stay in the memory of the proxy")]
    [InlineData("defaultConfig: {proxyHeaders: {forwardedClientCert: ALL}}", "defaultConfig.proxyHeaders.forwardedClientCert", "unsupported value \"ALL\"")]
    [InlineData("defaultConfig: {proxyHeaders: {setCurrentClientCertDetails: {chain: true}}}", "defaultConfig.proxyHeaders.setCurrentClientCertDetails.chain",
        "proxies keep the certificate of a client, and not the chain")]
    [InlineData("defaultConfig: {proxyHeaders: {preserveHttp1HeaderCase: true}}", "defaultConfig.proxyHeaders.preserveHttp1HeaderCase",
        "proxies send the names of header fields in lower case")]
    [InlineData("defaultConfig: {proxyHeaders: {server: {value: \"a\\nb\"}}}", "defaultConfig.proxyHeaders.server.value", "is not the value of a header field")]
    [InlineData("defaultConfig: {proxyHeaders: {forwardedHost: true}}", "defaultConfig.proxyHeaders.forwardedHost", "unknown field")]
    [InlineData("defaultConfig: {proxyHeaders: {server: {enabled: false}}}", "defaultConfig.proxyHeaders.server.enabled", "unknown field")]
    [InlineData("defaultConfig: {caCertificatesPem: [x]}", "defaultConfig.caCertificatesPem", "the control plane is the only certificate authority")]
    [InlineData("[]", "", "mesh configuration must be an object")]
    public void What_cannot_work_is_an_error_that_names_the_field(string settings, string path, string message)
    {
        var problem = MeshConfigReader.ReadMesh(YamlText.Parse(settings, "mesh")).Problems.First();
        Assert.Equal((path, Severity.Error), (problem.Path, problem.Severity));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_has_no_effect_is_warned_of_by_name()
    {
        var idle = ApiFields.Of(ApiFields.MeshConfig).Where(field => field.Effect == FieldEffect.Warned).ToList();
        Assert.True(idle.Count > 40);
        foreach (var field in idle)
        {
            // One of these has the type of the field.
            Assert.Contains((JsonNode[])["x", 1, true, "1s", new JsonObject(), new JsonArray()], value =>
                MeshConfigReader.ReadMesh(Nested(field.Path.Split('.'), value)).Problems.Any(problem => problem is { Message: "has no effect in Isthmus",
                    Severity: Severity.Warning }
                    && problem.Path == field.Path.Replace("[]", "[0]", StringComparison.Ordinal)));
        }
    }

    /// <summary>Istio reads YAML in the same way, and refuses it as well.</summary>
    [Fact]
    public void A_word_that_YAML_takes_for_a_boolean_is_an_error_with_its_remedy()
    {
        var problem = Assert.Single(MeshConfigReader.ReadMesh(YamlText.Parse("ingressControllerMode: OFF", "mesh")).Problems);
        Assert.Equal(
            "ConfigMap istio, key mesh: ingressControllerMode: must be a string, not a boolean (put it in quotes: without them, OFF, ON, NO and YES are "
                + "booleans in YAML)",
            problem.ToString());
        Assert.Empty(MeshConfigReader.ReadMesh(YamlText.Parse("ingressControllerMode: 'OFF'", "mesh")).Problems);
    }

    [Theory]
    [InlineData("trustDomian: x", "trustDomian", "did you mean \"trustDomain\"?")]
    [InlineData("defaultConfig: {holdApplicationUntilProxyStart: true}", "defaultConfig.holdApplicationUntilProxyStart",
        "did you mean \"holdApplicationUntilProxyStarts\"?")]
    public void Unknown_fields_are_named_with_the_nearest_known_one(string settings, string path, string remedy)
    {
        var problem = Assert.Single(MeshConfigReader.ReadMesh(YamlText.Parse(settings, "mesh")).Problems);
        Assert.Equal((path, remedy, Severity.Warning), (problem.Path, problem.Remedy, problem.Severity));
    }

    [Theory]
    [InlineData("{network: {}}", "network", "unknown field \"network\"", "did you mean \"networks\"?", Severity.Warning)]
    [InlineData("{networks: {n2: {gateway: [], endpoints: []}}}", "networks[n2].gateway", "unknown field \"gateway\"", "did you mean \"gateways\"?",
        Severity.Warning)]
    [InlineData("{networks: {n2: {gateways: [{adress: 192.0.2.1, registryServiceName: east.istio-system.svc.cluster.local, port: 15443}]}}}",
        "networks[n2].gateways[0].adress", "unknown field \"adress\"", "did you mean \"address\"?", Severity.Warning)]
    [InlineData("{networks: {n2: {gateways: [{address: 192.0.2.1, port: '15443'}]}}}", "networks[n2].gateways[0].port", "must be an integer, not a string", "",
        Severity.Error)]
    [InlineData("{networks: {n2: {gateways: [{address: 192.0.2.1, port: 0}]}}}", "networks[n2].gateways[0].port", "port number 0 must be in the range 1..65535",
        "", Severity.Error)]
    [InlineData("{networks: [n2]}", "networks", "must be an object, not a list", "", Severity.Error)]
    public void Wrong_fields_of_meshNetworks_are_named(string networks, string path, string message, string remedy, Severity severity)
    {
        var problem = Assert.Single(MeshConfigReader.ReadNetworks(YamlText.Parse(networks, "meshNetworks")).Problems);
        Assert.Equal((path, message, remedy, severity), (problem.Path, problem.Message, problem.Remedy, problem.Severity));
    }

    [Fact]
    public void A_bad_edit_changes_nothing_and_is_told()
    {
        var rig = Rig("{connectTimeout: 3s, outboundTrafficPolicy: {mode: REGISTRY_ONLY}}");
        var feed = rig.Sidecar("c1");
        rig.Push();
        var before = MeshRig.Versions(feed);
        rig.Settings("{connectTimeout: soon, outboundTrafficPolicy: {mode: ALLOW_ANY}, tcpKeepalive: {probes: 3}}");
        rig.Push();
        Assert.Equal(before, MeshRig.Versions(feed));
        Assert.Equal("connectTimeout", Assert.Single(Assert.Single(rig.Mesh.Sources.Problems.Items).Value.Problems).Path);
        rig.Settings("{connectTimeout: 4s}");
        rig.Push();
        Assert.Empty(rig.Mesh.Sources.Problems.Items);
        Assert.Equal(TimeSpan.FromSeconds(4), MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!.ConnectTimeout.ToTimeSpan());
    }

    [Theory]
    [InlineData("connectTimeout: soon", "connectTimeout", "\"soon\" is not a duration")]
    [InlineData("{", "", "is not valid YAML")]
    public void Analyze_reports_settings_with_errors(string settings, string path, string message)
    {
        var map = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = "istio-canary", ["namespace"] = "istio-system" },
            ["data"] = new JsonObject { ["mesh"] = settings },
        };
        var problem = Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", [map])])).Problem;
        Assert.Equal(("IST0106", path), (problem.Code, problem.Path));
        Assert.StartsWith("ConfigMap istio-system/istio-canary", problem.Object, StringComparison.Ordinal);
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A document with one field; the steps of lists end with <c>[]</c>.</summary>
    private static JsonObject Nested(ReadOnlySpan<string> path, JsonNode value)
    {
        var inner = path.Length == 1 ? value.DeepClone() : Nested(path[1..], value);
        return path[0].EndsWith("[]", StringComparison.Ordinal) ? new() { [path[0][..^2]] = new JsonArray(inner) } : new() { [path[0]] = inner };
    }

    private static MeshRig Rig(string settings)
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        rig.Settings(settings);
        return rig;
    }

    private static Cluster Outbound(string settings, string config)
    {
        var rig = Rig(settings);
        if (config.Length > 0) rig.Config(config);
        var feed = rig.Sidecar("c1");
        rig.Push();
        return MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!;
    }

    private static string Rule(string pool) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec:
          host: web
          trafficPolicy:
            connectionPool: { {{pool}} }
        """;

    private static Isthmus.ControlPlane.Push.ProxyFeed TwoNamespaces(MeshRig rig)
    {
        rig.Writer.Put("c1", new Namespace { Metadata = new() { Name = "shop", Labels = { ["team"] = "a" } } });
        rig.Writer.Put("c1", new Namespace { Metadata = new() { Name = "other", Labels = { ["team"] = "b", ["stage"] = "test" } } });
        rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 100ms}}}}
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: far, namespace: other}
            spec: {hosts: [far.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
            """);
        return rig.Sidecar("c1");
    }

    private static (bool Shop, bool Other) Known(MeshRig rig, Isthmus.ControlPlane.Push.ProxyFeed feed)
    {
        rig.Push();
        Assert.Empty(rig.Mesh.Graph.Verify());
        return (MeshRig.Cluster(feed, MeshRig.OutboundName("web")) is not null, MeshRig.Cluster(feed, "outbound|80||far.example") is not null);
    }
}
