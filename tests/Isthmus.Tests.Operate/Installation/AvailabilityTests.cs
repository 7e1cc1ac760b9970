using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>Replicas, budgets, placement and addresses of the control plane and gateways.</summary>
public sealed class AvailabilityTests
{
    private const string Gateway = "components.ingressGateways[0].name=istio-ingressgateway";

    [Fact]
    public void Values_reach_the_pods_of_control_plane_and_gateways()
    {
        string[] fields = ["replicaCount=3", "nodeSelector.disk=ssd", "tolerations[0].operator=Exists", "affinity.podAntiAffinity.a=b",
            "topologySpreadConstraints[0].maxSkew=1", "resources.requests.cpu=1", "resources.requests.memory=1Gi",
            "podAnnotations.a=b", "priorityClassName=high", "rollingMaxSurge=1", "rollingMaxUnavailable=0", "serviceAnnotations.c=d"];
        var objects = Render([.. fields.SelectMany(field => (string[])[$"values.pilot.{field}", $"values.gateways.istio-ingressgateway.{field}"])]);
        foreach (var name in (string[])["istiod", "istio-ingressgateway"])
        {
            var spec = Find(objects, "Deployment", name)["spec"]!;
            Assert.Equal(("3", """{"rollingUpdate":{"maxSurge":1,"maxUnavailable":0}}"""), (spec["replicas"]!.ToString(), spec["strategy"]!.ToJsonString()));
            var pod = spec["template"]!;
            Assert.Equal("b", pod["metadata"]!["annotations"]!["a"]!.ToString());
            Assert.Equal(
                """[{"disk":"ssd"},[{"operator":"Exists"}],{"podAntiAffinity":{"a":"b"}},[{"maxSkew":1}],"high",{"requests":{"cpu":1,"memory":"1Gi"}}]""",
                new JsonArray([.. ((string[])["nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName"])
                    .Select(field => pod["spec"]![field]?.DeepClone())
                    .Append(pod["spec"]!["containers"]![0]!["resources"]!.DeepClone())]).ToJsonString());
            Assert.Equal("d", Find(objects, "Service", name)["metadata"]!["annotations"]!["c"]!.ToString());
        }
    }

    [Fact]
    public void The_settings_of_a_component_win_over_values()
    {
        var objects = Render("values.pilot.replicaCount=3", "values.pilot.podAnnotations.a=values", "values.pilot.podAnnotations.b=values",
            "components.pilot.k8s.replicaCount=2", "components.pilot.k8s.podAnnotations.a=k8s",
            "components.pilot.k8s.strategy.type=Recreate", "components.pilot.k8s.topologySpreadConstraints[0].maxSkew=2",
            "components.pilot.hub=other.example.com", "components.pilot.tag=9", "hub=registry.example.com");
        var spec = Find(objects, "Deployment", "istiod")["spec"]!;
        var annotations = spec["template"]!["metadata"]!["annotations"]!;
        Assert.Equal(("2", "k8s", "values", """{"type":"Recreate"}""", "2", "other.example.com/isthmus:9"),
            (spec["replicas"]!.ToString(), annotations["a"]!.ToString(), annotations["b"]!.ToString(), spec["strategy"]!.ToJsonString(),
            spec["template"]!["spec"]!["topologySpreadConstraints"]![0]!["maxSkew"]!.ToString(),
            spec["template"]!["spec"]!["containers"]![0]!["image"]!.ToString()));
    }

    [Fact]
    public void An_autoscaler_decides_on_replicas()
    {
        var objects = Render("values.pilot.autoscaleEnabled=true", "values.pilot.autoscaleMax=7", Gateway,
            "components.ingressGateways[0].k8s.hpaSpec.maxReplicas=4");
        Assert.Null(Find(objects, "Deployment", "istiod")["spec"]!["replicas"]);
        Assert.Null(Find(objects, "Deployment", "istio-ingressgateway")["spec"]!["replicas"]);
        Assert.Equal(
            """{"minReplicas":1,"maxReplicas":7,"metrics":[{"type":"Resource","resource":"""
                + """{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]"""
                + ""","scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"istiod"}}""",
            Find(objects, "HorizontalPodAutoscaler", "istiod")["spec"]!.ToJsonString());
        Assert.Equal("istio-ingressgateway", Find(objects, "HorizontalPodAutoscaler", "istio-ingressgateway")["spec"]!["scaleTargetRef"]!["name"]!.ToString());
    }

    [Fact]
    public void Budgets_select_the_pods_of_their_component()
    {
        var objects = Render("revision=canary", "values.global.defaultPodDisruptionBudget.enabled=true", Gateway,
            "components.ingressGateways[0].k8s.podDisruptionBudget.maxUnavailable=1");
        Assert.Equal("""{"minAvailable":1,"selector":{"matchLabels":{"app":"istiod","istio.io/rev":"canary"}}}""",
            Find(objects, "PodDisruptionBudget", "istiod-canary")["spec"]!.ToJsonString());
        Assert.Equal("""{"maxUnavailable":1,"selector":{"matchLabels":{"app":"istio-ingressgateway","istio":"ingressgateway"}}}""",
            Find(objects, "PodDisruptionBudget", "istio-ingressgateway")["spec"]!.ToJsonString());
        Assert.DoesNotContain(Render(), value => value["kind"]!.ToString() is "PodDisruptionBudget" or "HorizontalPodAutoscaler");
    }

    [Fact]
    public void Values_reach_the_address_of_a_gateway_and_of_others_of_its_kind()
    {
        var objects = Render("values.gateways.istio-ingressgateway.loadBalancerIP=192.0.2.1",
            "values.gateways.istio-ingressgateway.loadBalancerSourceRanges[0]=192.0.2.0/24", "values.gateways.istio-ingressgateway.externalTrafficPolicy=Local",
            "values.gateways.mine.type=NodePort", "components.ingressGateways[1].name=mine", "components.ingressGateways[1].enabled=true",
            "components.ingressGateways[1].k8s.service.externalTrafficPolicy=Cluster",
            "components.ingressGateways[1].k8s.service.ports[0].port=80", "components.ingressGateways[1].k8s.service.ports[0].nodePort=30080", Gateway);
        var (first, second) = (Find(objects, "Service", "istio-ingressgateway")["spec"]!, Find(objects, "Service", "mine")["spec"]!);
        Assert.Equal(("LoadBalancer", "192.0.2.1", """["192.0.2.0/24"]""", "Local"),
            (first["type"]!.ToString(), first["loadBalancerIP"]!.ToString(), first["loadBalancerSourceRanges"]!.ToJsonString(),
                first["externalTrafficPolicy"]!.ToString()));
        Assert.Equal(("NodePort", "Cluster", "30080"),
            (second["type"]!.ToString(), second["externalTrafficPolicy"]!.ToString(), second["ports"]![0]!["nodePort"]!.ToString()));
    }

    [Theory]
    [InlineData("components.pilot.k8s.overlays=text", "spec.components.pilot.k8s.overlays: 'text' should be a list")]
    [InlineData("components.pilot.k8s.overlays[0].patches=text", "spec.components.pilot.k8s.overlays[0].patches: 'text' should be a list")]
    [InlineData("components.pilot.namespace=other", "spec.components.pilot.namespace: has no effect here (set values.global.istioNamespace)")]
    [InlineData("components.base.k8s.replicaCount=2", "spec.components.base.k8s: has no effect here (remove it: the component has no Pods)")]
    [InlineData("addonComponents.prometheus.enabled=true",
        "spec.addonComponents.prometheus: has no effect here (remove it, and apply the objects of prometheus yourself)")]
    [InlineData("components.ztunnel.enabled=true",
        "spec.components.ztunnel.enabled: has no effect here (remove it: proxies are sidecars and gateways; there is no ambient mode)")]
    [InlineData("namespace=other", "spec.namespace: has no effect here (set values.global.istioNamespace)")]
    [InlineData("components.ingressGateways[0].tag=1", "spec.components.ingressGateways[0].tag: has no effect here (set spec.tag, or")]
    [InlineData("values.pilot.autoscaleEnabled=perhaps", "spec.values.pilot.autoscaleEnabled: 'perhaps' is not true or false")]
    [InlineData("values.pilot.autoscaleMin=few", "spec.values.pilot.autoscaleMin: 'few' is not a whole number")]
    [InlineData("values.gateways.istio-ingressgateway.loadBalancerSourceRanges=192.0.2.0/24",
        "spec.values.gateways.istio-ingressgateway.loadBalancerSourceRanges: '192.0.2.0/24' should be a list")]
    [InlineData("values.pilot.tolerations.key=a", "spec.values.pilot.tolerations: a mapping should be a list")]
    public void What_cannot_have_an_effect_is_refused_by_name(string flag, string message) =>
        Assert.Contains(message, Assert.Throws<ProblemException>(() => Render(Gateway, flag)).Message, StringComparison.Ordinal);

    [Fact]
    public void The_Service_of_a_control_plane_is_extended_and_keeps_its_ports()
    {
        var service = Find(Render("components.pilot.k8s.service.type=LoadBalancer", "components.pilot.k8s.service.ports[0].port=15012",
            "components.pilot.k8s.service.ports[0].nodePort=30012",
            "components.pilot.k8s.service.ports[1].port=9000", "components.pilot.k8s.service.ports[1].name=own"), "Service", "istiod")["spec"]!;
        Assert.Equal("LoadBalancer", service["type"]!.ToString());
        Assert.Equal(["15010 grpc-xds", "15012 https-dns 30012", "443 https-webhook", "15014 http-monitoring", "9000 own"],
            service["ports"]!.AsArray().Select(port => $"{port!["port"]} {port["name"]} {port["nodePort"]}".TrimEnd()));
    }

    private const string Overlays = """
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        spec:
          components:
            pilot:
              k8s:
                overlays:
                - kind: Deployment
                  name: istiod
                  patches:
                  - {path: 'spec.template.spec.containers.[name:discovery].args.[-1]', value: --profile}
                  - {path: 'spec.template.spec.containers[name:discovery].args.[:--domain]', value: --other}
                  - {path: spec.template.spec.terminationGracePeriodSeconds, value: 7}
                  - {path: spec.replicas, value: '3'}
                  - {path: 'metadata.labels.example\.com/team', value: '5'}
                  - {path: 'spec.template.metadata.annotations.prometheus\.io/scrape'}
                  - {path: 'spec.template.spec.containers.[0].resources', value: "requests:\n  cpu: 100m\n"}
                  - {path: 'spec.template.spec.volumes.[name:local-certs]'}
            ingressGateways:
            - name: istio-ingressgateway
              enabled: true
              k8s:
                overlays:
                - {kind: Service, name: istio-ingressgateway, patches: [{path: 'spec.ports.[port:80].targetPort', value: 9999}]}
        """;

    [Fact]
    public void Overlays_patch_the_objects_of_their_component()
    {
        List<JsonObject> objects = [.. Manifests.Render(OperatorSpec.Build([("a.yaml", Overlays)], [], null)).SelectMany(component => component.Objects)];
        var deployment = Find(objects, "Deployment", "istiod");
        var (pod, container) = (deployment["spec"]!["template"]!["spec"]!, deployment["spec"]!["template"]!["spec"]!["containers"]![0]!);
        Assert.Equal("--profile", container["args"]!.AsArray()[^1]!.ToString());
        Assert.Contains("--other", container["args"]!.AsArray().Select(argument => argument!.ToString()));
        Assert.Equal(("7", """{"requests":{"cpu":"100m"}}""", "3"),
            (pod["terminationGracePeriodSeconds"]!.ToString(), container["resources"]!.ToJsonString(), deployment["spec"]!["replicas"]!.ToJsonString()));
        Assert.Equal("\"5\"", deployment["metadata"]!["labels"]!["example.com/team"]!.ToJsonString());
        Assert.Null(deployment["spec"]!["template"]!["metadata"]!["annotations"]!["prometheus.io/scrape"]);
        Assert.DoesNotContain(pod["volumes"]!.AsArray(), volume => volume!["name"]!.ToString() == "local-certs");
        Assert.Equal("9999",
            Find(objects, "Service", "istio-ingressgateway")["spec"]!["ports"]!.AsArray()
                .Single(port => port!["port"]!.ToString() == "80")!["targetPort"]!.ToString());
    }

    [Theory]
    [InlineData("name: istiod", "name: pilot",
        "spec.components.pilot.k8s.overlays[0]: the component has no Deployment 'pilot' (it has ServiceAccount istiod, ")]
    [InlineData("[:--domain]", "[:--realm]", "spec.components.pilot.k8s.overlays[0].patches[1].path: '[:--realm]' does not exist in the object")]
    [InlineData("containers.[name:discovery]", "containers.[discovery]",
        "spec.components.pilot.k8s.overlays[0].patches[0].path: '[discovery]' is not [key:value], [:value] or a number")]
    [InlineData("path: spec.replicas", "path: ''", "spec.components.pilot.k8s.overlays[0].patches[3].path: is required")]
    [InlineData("[port:80]", "[port:81]",
        "spec.components.ingressGateways[istio-ingressgateway].k8s.overlays[0].patches[0].path: '[port:81]' does not exist in the object")]
    public void Overlays_that_match_nothing_are_refused_by_name(string text, string wrong, string message) => Assert.StartsWith(message,
        Assert.Throws<ProblemException>(() => Manifests.Render(OperatorSpec.Build([("a.yaml", Overlays.Replace(text, wrong, StringComparison.Ordinal))], [],
            null))).Message,
        StringComparison.Ordinal);

    private static List<JsonObject> Render(params string[] sets) =>
        [.. Manifests.Render(OperatorSpec.Build([], sets, null)).SelectMany(component => component.Objects)];

    private static JsonObject Find(List<JsonObject> objects, string kind, string name) =>
        objects.Single(value => value["kind"]!.ToString() == kind && value["metadata"]!["name"]!.ToString() == name);
}
