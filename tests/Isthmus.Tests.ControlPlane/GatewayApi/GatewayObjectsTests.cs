using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.GatewayApi;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>The objects that are made for a Gateway.</summary>
public sealed class GatewayObjectsTests
{
    private const string Listeners = "listeners: [{name: http, port: 80, protocol: HTTP}]";

    [Fact]
    public void A_Gateway_has_an_account_a_Deployment_and_a_Service_that_it_owns()
    {
        var objects = Make("metadata: {name: front, namespace: shop}", Listeners);
        Assert.Equal(["ServiceAccount front-istio", "Deployment front-istio", "Service front-istio"],
            objects.Select(item => $"{item["kind"]} {item["metadata"]!["name"]}"));
        foreach (var item in objects)
        {
            Assert.Equal("shop", (string?)item["metadata"]!["namespace"]);
            Assert.Equal(("Gateway", "front", "u1"),
                ((string?)item["metadata"]!["ownerReferences"]![0]!["kind"], (string?)item["metadata"]!["ownerReferences"]![0]!["name"],
                    (string?)item["metadata"]!["ownerReferences"]![0]!["uid"]));
            Assert.Equal("istio.io-gateway-controller", (string?)item["metadata"]!["labels"]!["gateway.istio.io/managed"]);
            Assert.Equal("istio", (string?)item["metadata"]!["labels"]!["gateway.networking.k8s.io/gateway-class-name"]);
        }
        var service = objects[2]["spec"]!;
        Assert.Equal("LoadBalancer", (string?)service["type"]);
        Assert.Equal("""{"gateway.networking.k8s.io/gateway-name":"front"}""", service["selector"]!.ToJsonString());
        Assert.Equal(
            """[{"name":"status-port","port":15021,"protocol":"TCP","appProtocol":"tcp"},{"name":"http","port":80,"protocol":"TCP","appProtocol":"http"}]""",
            service["ports"]!.ToJsonString());
    }

    [Fact]
    public void Its_proxy_is_that_of_injected_gateways()
    {
        var values = InjectorValues.Empty.WithValues((JsonObject)YamlText.Parse("""
            global: {hub: registry.example/mesh, tag: v9, imagePullPolicy: Always, imagePullSecrets: [pull], network: net1, proxy: {resources: {requests: {cpu: 10m}}}, multiCluster: {clusterName: c1}}
            """, "values")!);
        var pod = Make("metadata: {name: front, namespace: shop}", Listeners, values: values)[1]["spec"]!["template"]!;
        var container = Assert.Single(pod["spec"]!["containers"]!.AsArray())!;
        Assert.Equal(("registry.example/mesh/isthmus:v9", "Always"), ((string?)container["image"], (string?)container["imagePullPolicy"]));
        Assert.Equal(["proxy", "router"], container["args"]!.AsArray().Take(2).Select(word => (string)word!));
        Assert.Equal("10m", (string?)container["resources"]!["requests"]!["cpu"]);
        Assert.True((bool)container["securityContext"]!["readOnlyRootFilesystem"]!);
        Assert.Equal("pull", (string?)pod["spec"]!["imagePullSecrets"]![0]!["name"]);
        Assert.Equal("front-istio", (string?)pod["spec"]!["serviceAccountName"]);
        Assert.Equal("RuntimeDefault", (string?)pod["spec"]!["securityContext"]!["seccompProfile"]!["type"]);
        Assert.Equal("net.ipv4.ip_unprivileged_port_start", (string?)pod["spec"]!["securityContext"]!["sysctls"]![0]!["name"]);
        string? Variable(string name) =>
            container["env"]!.AsArray().Where(item => (string?)item!["name"] == name).Select(item => (string?)item!["value"]).FirstOrDefault();
        Assert.Equal(("front-istio", "kubernetes://apis/apps/v1/namespaces/shop/deployments/front-istio"),
            (Variable("ISTIO_META_WORKLOAD_NAME"), Variable("ISTIO_META_OWNER")));
        Assert.Equal(("c1", "net1"), (Variable("ISTIO_META_CLUSTER_ID"), Variable("ISTIO_META_NETWORK")));
        // The webhook must not add a second proxy, in whatever namespace.
        Assert.Equal("false", (string?)pod["metadata"]!["labels"]!["sidecar.istio.io/inject"]);
        Assert.Equal("front", (string?)pod["metadata"]!["labels"]!["gateway.networking.k8s.io/gateway-name"]);
    }

    [Fact]
    public void Labels_and_annotations_are_those_of_the_infrastructure_and_without_it_the_Gateways_own()
    {
        const string Meta =
            "metadata: {name: front, namespace: shop, labels: {own: a, gateway.networking.k8s.io/x: b}, annotations: {note: c, gateway.istio.io/name-override: "
                + "door, kubectl.kubernetes.io/last-applied-configuration: '{}'}}";
        var own = Make(Meta, Listeners);
        Assert.Equal("door", (string?)own[2]["metadata"]!["name"]);
        Assert.Equal("a", (string?)own[2]["metadata"]!["labels"]!["own"]);
        Assert.Null(own[2]["metadata"]!["labels"]!["gateway.networking.k8s.io/x"]);
        Assert.Equal("""{"note":"c"}""", own[2]["metadata"]!["annotations"]!.ToJsonString());
        var asked = Make(Meta, $"{Listeners}, infrastructure: {{labels: {{team: x}}, annotations: {{owner: me}}}}");
        foreach (var metadata in (JsonNode[])[.. asked.Select(item => item["metadata"]!), asked[1]["spec"]!["template"]!["metadata"]!])
        {
            Assert.Equal(("x", "me", null),
                ((string?)metadata["labels"]!["team"], (string?)metadata["annotations"]!["owner"], (string?)metadata["labels"]!["own"]));
        }
    }

    [Theory]
    [InlineData("ClusterIP", "ClusterIP")]
    [InlineData("NodePort", "NodePort")]
    public void An_annotation_says_the_type_of_the_Service(string annotation, string type) =>
        Assert.Equal(type,
            (string?)Make($"metadata: {{name: front, namespace: shop, annotations: {{networking.istio.io/service-type: {annotation}}}}}",
                Listeners)[2]["spec"]!["type"]);

    [Fact]
    public void Another_type_of_Service_is_refused_by_name()
    {
        var e = Assert.Throws<ProblemException>(
            () => Make("metadata: {name: front, namespace: shop, annotations: {networking.istio.io/service-type: ExternalName}}",
            Listeners));
        Assert.Equal("Gateway shop/front metadata.annotations[networking.istio.io/service-type]", $"{e.Problem.Object} {e.Problem.Path}");
    }

    [Fact]
    public void An_address_is_that_of_the_load_balancer() =>
        Assert.Equal("192.0.2.7",
            (string?)Make("metadata: {name: front, namespace: shop}",
                $"{Listeners}, addresses: [{{type: IPAddress}}, {{value: 192.0.2.7}}]")[2]["spec"]!["loadBalancerIP"]);

    [Theory]
    [InlineData("{routability: Cluster}", "ClusterIP", null, null)]
    [InlineData("{value: 10.96.0.50, routability: Cluster}", "ClusterIP", "10.96.0.50", null)]
    [InlineData("{value: 10.96.0.50, routability: Cluster}, {value: 'fd00::5', routability: Cluster}", "ClusterIP", "10.96.0.50,fd00::5", null)]
    [InlineData("{value: 10.96.0.50, routability: Cluster}, {value: 192.0.2.7}", "LoadBalancer", "10.96.0.50", "192.0.2.7")]
    public void A_Gateway_that_only_the_cluster_is_to_reach_has_no_load_balancer(string addresses, string type, string? own, string? outside)
    {
        var spec = Make("metadata: {name: front, namespace: shop}", $"{Listeners}, addresses: [{addresses}]")[2]["spec"]!;
        Assert.Equal((type, own, outside), ((string?)spec["type"],
            spec["clusterIPs"] is JsonArray ips ? string.Join(',', ips) : null, (string?)spec["loadBalancerIP"]));
        Assert.Equal(own?.Split(',')[0], (string?)spec["clusterIP"]);
    }

    /// <summary>The one that the Gateway's own annotation names stays.</summary>
    [Fact]
    public void Several_addresses_are_asked_for_in_the_way_of_each_load_balancer()
    {
        var service = Make("metadata: {name: front, namespace: shop, annotations: {lbipam.cilium.io/ips: 192.0.2.9}}",
            $"{Listeners}, addresses: [{{value: 192.0.2.7}}, {{value: '2001:db8::7'}}]")[2];
        Assert.Null(service["spec"]!["loadBalancerIP"]);
        var annotations = service["metadata"]!["annotations"]!;
        Assert.Equal(("192.0.2.7,2001:db8::7", "192.0.2.9"),
            ((string?)annotations["metallb.universe.tf/loadBalancerIPs"], (string?)annotations["lbipam.cilium.io/ips"]));
    }

    [Fact]
    public void ConfigMaps_are_merged_over_the_objects_the_most_special_last()
    {
        var objects = Make("metadata: {name: front, namespace: shop}", Listeners,
            [
                Parameters("deployment", "spec: {replicas: 2, template: {spec: {containers: [{name: istio-proxy, resources: {limits: {cpu: '2'}}}]}}}",
                    "service", "spec: {externalTrafficPolicy: Local}"),
                Parameters("deployment", "spec: {replicas: 4}", "service", "spec: {ports: [{port: 80, nodePort: 30080}]}", "horizontalPodAutoscaler",
                    "spec: {minReplicas: 2, maxReplicas: 9}",
                    "podDisruptionBudget", "spec: {minAvailable: 1}"),
            ]);
        var (deployment, service) = (objects[1]["spec"]!, objects[2]["spec"]!);
        Assert.Equal(4, (int)deployment["replicas"]!);
        var container = Assert.Single(deployment["template"]!["spec"]!["containers"]!.AsArray())!;
        Assert.Equal(("2", true), ((string?)container["resources"]!["limits"]!["cpu"], container["args"] is JsonArray));
        Assert.Equal(("Local", 30080, "http"),
            ((string?)service["externalTrafficPolicy"], (int)service["ports"]![1]!["nodePort"]!, (string?)service["ports"]![1]!["name"]));
        Assert.Equal("""{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"front-istio"},"maxReplicas":9,"minReplicas":2}""",
            objects[3]["spec"]!.ToJsonString());
        Assert.Equal("""{"selector":{"matchLabels":{"gateway.networking.k8s.io/gateway-name":"front"}},"minAvailable":1}""",
            objects[4]["spec"]!.ToJsonString());
    }

    /// <summary>The injector reads annotations and labels of a Pod: those that ConfigMaps give it count, and those that they take away do not.</summary>
    [Fact]
    public void What_ConfigMaps_say_of_the_Pods_counts_for_their_proxy()
    {
        const string Meta = "metadata: {name: front, namespace: shop, annotations: {sidecar.istio.io/logLevel: trace, sidecar.istio.io/agentLogLevel: debug}}";
        var template = Make(Meta, Listeners,
            [
                Parameters("deployment",
                    "spec: {template: {metadata: {annotations: {proxy.istio.io/config: '{binaryPath: /usr/local/bin/envoy}', sidecar.istio.io/logLevel: null}, "
                        + "labels: {topology.istio.io/network: net9}}}}"),
                Parameters("deployment", "spec: {template: {metadata: {annotations: {sidecar.istio.io/agentLogLevel: error, note: kept}}}}"),
            ])[1]["spec"]!["template"]!;
        var container = Assert.Single(template["spec"]!["containers"]!.AsArray())!;
        var variables = container["env"]!.AsArray().ToDictionary(item => (string)item!["name"]!, item => (string?)item!["value"]);
        Assert.Equal("/usr/local/bin/envoy", (string?)JsonNode.Parse(variables["PROXY_CONFIG"]!)!["binaryPath"]);
        Assert.Equal("net9", variables["ISTIO_META_REQUESTED_NETWORK_VIEW"]);
        var arguments = string.Join(' ', container["args"]!.AsArray().Select(word => (string)word!));
        Assert.Contains("error", arguments, StringComparison.Ordinal);
        Assert.DoesNotContain("trace", arguments, StringComparison.Ordinal);
        Assert.Equal(("kept", null, "false"),
            ((string?)template["metadata"]!["annotations"]!["note"], (string?)template["metadata"]!["annotations"]!["sidecar.istio.io/logLevel"],
                (string?)template["metadata"]!["labels"]!["sidecar.istio.io/inject"]));
    }

    [Fact]
    public void An_annotation_that_the_injector_refuses_is_named()
    {
        var e = Assert.Throws<ProblemException>(() => Make("metadata: {name: front, namespace: shop}", Listeners,
            [Parameters("deployment", "spec: {template: {metadata: {annotations: {sidecar.istio.io/bootstrapOverride: x}}}}")]));
        Assert.Equal("metadata.annotations[sidecar.istio.io/bootstrapOverride]", e.Problem.Path);
    }

    [Theory]
    [InlineData("deployment", "spec: {template: {metadata: {annotations: {inject.istio.io/templates: sidecar}}}}",
        "data[deployment]: sets inject.istio.io/templates in spec.template.metadata.annotations, which has no effect")]
    [InlineData("deployment", "spec: {template: {metadata: {annotations: {sidecar.istio.io/inject: 'false'}}}}",
        "data[deployment]: sets sidecar.istio.io/inject in spec.template.metadata.annotations, which has no effect")]
    [InlineData("deployment", "spec: {template: {metadata: {labels: {sidecar.istio.io/inject: 'false'}}}}",
        "data[deployment]: sets sidecar.istio.io/inject in spec.template.metadata.labels, which has no effect")]
    [InlineData("deploymnt", "spec: {}", "data[deploymnt]: is no part of a gateway")]
    [InlineData("deployment", "[]", "data[deployment]: is not a map")]
    [InlineData("deployment", "spec: foo", "data[deployment]: leaves no map at spec")]
    [InlineData("deployment", "spec: null", "data[deployment]: leaves no map at spec")]
    [InlineData("deployment", "spec: {template: []}", "data[deployment]: leaves no map at spec.template")]
    [InlineData("deployment", "spec: {template: {metadata: x}}", "data[deployment]: leaves no map at spec.template.metadata")]
    [InlineData("deployment", "spec: {template: {metadata: {labels: [x]}}}", "data[deployment]: leaves no map at spec.template.metadata.labels")]
    [InlineData("deployment", "spec: {$patch: replace, replicas: 2}", "data[deployment]: leaves no map at spec.template")]
    [InlineData("deployment", "metadata: x", "data[deployment]: leaves no map at metadata")]
    [InlineData("service", "metadata: {labels: x}", "data[service]: leaves no map at metadata.labels")]
    [InlineData("service", "spec: x", "data[service]: leaves no map at spec")]
    [InlineData("deployment", "spec: {: ", "data[deployment]: ")]
    [InlineData("service", "metadata: {name: other}", "data[service]: changes metadata.name")]
    [InlineData("service", "metadata: {ownerReferences: []}", "data[service]: changes metadata.ownerReferences")]
    [InlineData("deployment", "spec: {$setElementOrder/x: []}", "data[deployment]: has the directive '$setElementOrder/x'")]
    public void What_cannot_be_merged_is_refused_with_its_key(string key, string text, string message)
    {
        var e = Assert.Throws<ProblemException>(() => Make("metadata: {name: front, namespace: shop}", Listeners, [Parameters(key, text)]));
        Assert.Equal("ConfigMap shop/params", e.Problem.Object);
        Assert.StartsWith(message, $"{e.Problem.Path}: {e.Problem.Message}", StringComparison.Ordinal);
    }

    /// <summary>Without the annotation, its Pods would be sidecars; without the label, the webhook could make them so.</summary>
    [Theory]
    [InlineData("spec: {template: {metadata: {annotations: null}}}")]
    [InlineData("spec: {template: {metadata: {labels: null}}}")]
    [InlineData("spec: {template: {metadata: {annotations: {$patch: replace, note: x}, labels: {$patch: replace, team: x}}}}")]
    [InlineData("spec: {template: {metadata: {$patch: replace, labels: {team: x}}}}")]
    [InlineData("spec: {template: {$patch: replace, metadata: {labels: {team: x}}, spec: {containers: [{name: istio-proxy, image: x}]}}}")]
    [InlineData("spec: {$patch: replace, template: {metadata: {}, spec: {containers: [{name: istio-proxy, image: x}]}}}")]
    public void The_Pods_are_gateways_whatever_ConfigMaps_remove(string text)
    {
        var whole = Make("metadata: {name: front, namespace: shop}", Listeners)[1]["spec"]!["template"]!;
        var template = Make("metadata: {name: front, namespace: shop}", Listeners, [Parameters("deployment", text)])[1]["spec"]!["template"]!;
        Assert.Equal(("gateway", "false", "front"),
            ((string?)template["metadata"]!["annotations"]!["inject.istio.io/templates"], (string?)template["metadata"]!["labels"]!["sidecar.istio.io/inject"],
                (string?)template["metadata"]!["labels"]!["gateway.networking.k8s.io/gateway-name"]));
        if (!text.Contains("image: x", StringComparison.Ordinal)) Assert.Equal(Shape(whole), Shape(template));

        static string Shape(JsonNode template) => string.Join(' ', template["spec"]!.AsObject().Select(field => field.Key))
            + template["spec"]!["containers"]![0]!["args"]!.ToJsonString();
    }

    /// <summary>API servers say which item of a list is no map.</summary>
    [Fact]
    public void An_item_that_is_no_map_is_left_to_the_API_server() =>
        Assert.Equal("x", (string?)Make("metadata: {name: front, namespace: shop}", Listeners,
            [Parameters("deployment", "spec: {template: {spec: {containers: [x]}}}")])[1]["spec"]!["template"]!["spec"]!["containers"]![1]);

    [Fact]
    public void The_labels_of_the_Pods_that_select_ProxyConfigs_include_those_of_ConfigMaps()
    {
        var order = Order("metadata: {name: front, namespace: shop}", Listeners,
            [Parameters("deployment", "spec: {template: {metadata: {labels: {team: x}}}}")]);
        var labels = GatewayObjects.PodLabels(order);
        Assert.Equal(("x", "front"), ((string?)labels["team"], (string?)labels["gateway.networking.k8s.io/gateway-name"]));
    }

    [Fact]
    public void Labels_by_which_the_objects_are_found_cannot_be_changed()
    {
        var service = Make("metadata: {name: front, namespace: shop}", Listeners,
            [Parameters("service", "metadata: {labels: {gateway.istio.io/managed: null, team: x}}")])[2];
        Assert.Equal(("istio.io-gateway-controller", "x"),
            ((string?)service["metadata"]!["labels"]!["gateway.istio.io/managed"], (string?)service["metadata"]!["labels"]!["team"]));
    }

    [Fact]
    public void Names_of_Gateways_may_be_too_long_for_what_is_made()
    {
        var name = $"{new string('a', 100)}.{new string('b', 100)}";
        var (one, other) = (Make($"metadata: {{name: {name}, namespace: shop}}", Listeners), Make($"metadata: {{name: {name}c, namespace: shop}}", Listeners));
        foreach (var item in one)
        {
            Assert.Equal(63, ((string)item["metadata"]!["name"]!).Length);
            Assert.InRange(((string)item["metadata"]!["labels"]!["gateway.networking.k8s.io/gateway-name"]!).Length, 1, 63);
        }
        Assert.NotEqual((string?)one[2]["metadata"]!["name"], (string?)other[2]["metadata"]!["name"]);
        Assert.NotEqual(one[2]["spec"]!["selector"]!.ToJsonString(), other[2]["spec"]!["selector"]!.ToJsonString());
        Assert.Matches("^gw-1-istio-[0-9a-f]{8}$", (string)Make("metadata: {name: '1', namespace: shop}", Listeners)[2]["metadata"]!["name"]!);
    }

    [Fact]
    public void Ports_are_those_of_listeners_each_once_with_names_that_Services_can_have()
    {
        var service = Make("metadata: {name: front, namespace: shop}",
            $"listeners: [{{name: a.b, port: 80, protocol: HTTP}}, {{name: c, port: 80, protocol: HTTP}}, {{name: a-b, port: 443, protocol: HTTPS}}, {{name: "
                + $"dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}, "
                + $"{{name: metrics, port: 15020, protocol: HTTP}}, {{name: {new string('x', 80)}, port: 9000, protocol: TCP}}]")[2];
        Assert.Equal(
            ["status-port 15021 TCP", "a-b 80 TCP", "a-b-443 443 TCP", "dns 53 UDP", "dns-tcp 53 TCP", $"{new string('x', 63)} 9000 TCP"],
            service["spec"]!["ports"]!.AsArray().Select(port => $"{port!["name"]} {port["port"]} {port["protocol"]}"));
    }

    [Fact]
    public void A_namespace_without_proxies_is_named()
    {
        var e = Assert.Throws<ProblemException>(() => Make("metadata: {name: front, namespace: kube-system}", Listeners));
        Assert.Equal("Gateway kube-system/front", e.Problem.Object);
    }

    [Theory]
    [InlineData("istio", "{topology.istio.io/network: net2}", "", "net2")]
    [InlineData("istio", "{topology.istio.io/network: net2}", ", infrastructure: {labels: {a: b}}", null)]
    [InlineData("istio", "{}", "", null)]
    [InlineData("istio-east-west", "{topology.istio.io/network: net2}", "", "net2")]
    [InlineData("istio-east-west", "{}", ", infrastructure: {labels: {topology.istio.io/network: net3}}", "net3")]
    [InlineData("istio-east-west", "{}", "", "net1")]
    public void A_gateway_of_a_network_gets_the_endpoints_of_this_network_only(string gatewayClass, string labels, string spec, string? view)
    {
        var values = InjectorValues.Empty.WithValues((JsonObject)YamlText.Parse("global: {network: net1}", "values")!);
        var deployment = Make($"metadata: {{name: front, namespace: shop, labels: {labels}}}", Listeners + spec, values: values, gatewayClass: gatewayClass)[1];
        var env = deployment["spec"]!["template"]!["spec"]!["containers"]![0]!["env"]!.AsArray();
        Assert.Equal(view,
            env.Where(item => (string?)item!["name"] == "ISTIO_META_REQUESTED_NETWORK_VIEW").Select(item => (string?)item!["value"]).SingleOrDefault());
    }

    private static GatewayParameters Parameters(params string[] parts) =>
        new("shop/params", parts.Chunk(2).Select(pair => KeyValuePair.Create(pair[0], pair[1])).ToValueMap());

    private static IReadOnlyList<JsonObject> Make(string metadata, string spec, GatewayParameters[]? parameters = null, InjectorValues? values = null,
        string gatewayClass = "istio") =>
        GatewayObjects.Of(Order(metadata, spec, parameters ?? [], gatewayClass), "u1", values ?? InjectorValues.Empty);

    private static GatewayOrder Order(string metadata, string spec, GatewayParameters[] parameters, string gatewayClass = "istio")
    {
        var mesh = new MeshGraph();
        var gateway = ApiGatewayReader.Read("c1",
            (JsonObject)YamlText.Parse(
                $"{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, {metadata}, spec: {{gatewayClassName: {gatewayClass}, {spec}}}}}",
                "gateway")!);
        mesh.Sources.ApiGateways.Put(new("c1", gateway.Namespace, gateway.Name), gateway);
        mesh.Graph.Commit();
        return Assert.Single(GatewayOrders.Of(mesh)) with { Parameters = parameters.ToValueList() };
    }
}
