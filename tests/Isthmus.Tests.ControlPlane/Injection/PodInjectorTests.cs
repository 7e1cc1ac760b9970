using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Injection;

public sealed class PodInjectorTests
{
    private static readonly InjectorValues Values = new(
        (JsonObject)JsonNode.Parse("""{"global":{"network":"network1","multiCluster":{"clusterName":"cluster1"}}}""")!, [], "cluster.local");

    [Fact]
    public void Labels_annotations_and_volumes_are_those_of_Istio()
    {
        var pod = Inject();
        Assert.Equal("istio", Label(pod, "security.istio.io/tlsMode"));
        Assert.Equal("shop", Label(pod, "service.istio.io/canonical-name"));
        Assert.Equal("v7", Label(pod, "service.istio.io/canonical-revision"));
        Assert.Equal("network1", Label(pod, "topology.istio.io/network"));
        Assert.Equal("web", Annotation(pod, "kubectl.kubernetes.io/default-container"));
        Assert.Equal("15020", Annotation(pod, "prometheus.io/port"));
        Assert.Equal("default", JsonNode.Parse(Annotation(pod, "sidecar.istio.io/status")!)!["revision"]!.ToString());
        Assert.Equal(["workload-socket", "workload-certs", "istio-envoy", "istio-data", "istio-podinfo", "istio-token", "istiod-ca-cert"],
            Names(pod, "volumes").TakeLast(7));
        Assert.Equal(1337, (int)pod["spec"]!["securityContext"]!["fsGroup"]!);
    }

    [Fact]
    public void The_proxy_is_told_its_cluster_its_workload_and_its_ports()
    {
        var proxy = Proxy(Inject());
        Assert.Equal(["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
            proxy["args"]!.AsArray().Take(4).Select(argument => argument!.ToString()));
        Assert.Equal(1337, (int)proxy["securityContext"]!["runAsUser"]!);
        Assert.Equal("cluster1", Variable(proxy, "ISTIO_META_CLUSTER_ID"));
        Assert.Equal("shop-deploy", Variable(proxy, "ISTIO_META_WORKLOAD_NAME"));
        Assert.Equal("kubernetes://apis/apps/v1/namespaces/trade/deployments/shop-deploy", Variable(proxy, "ISTIO_META_OWNER"));
        Assert.Equal("web", Variable(proxy, "ISTIO_META_APP_CONTAINERS"));
        var names = proxy["env"]!.AsArray().Select(entry => entry!["name"]!.ToString()).ToList();
        Assert.Equal(["JWT_POLICY", "PILOT_CERT_PROVIDER", "CA_ADDR", "POD_NAME", "POD_NAMESPACE", "INSTANCE_IP", "SERVICE_ACCOUNT", "HOST_IP", "PROXY_CONFIG"],
            names.Take(9));
    }

    /// <summary>The agents of Istio 1.24 to 1.31 refuse flags that they do not know.</summary>
    [Theory]
    [InlineData("docker.io/istio/proxyv2:1.24.0", "NET_ADMIN,NET_RAW", false)]
    [InlineData("docker.io/istio/proxyv2@sha256:00", "NET_ADMIN,NET_RAW", false)]
    [InlineData("isthmus.internal/isthmus:other", "NET_ADMIN", true)]
    public void The_image_of_a_Pod_may_be_that_of_Istio(string image, string capabilities, bool isReadOnly)
    {
        var pod = Inject(annotations: $"sidecar.istio.io/proxyImage: '{image}'");
        var (proxy, init) = (Proxy(pod), pod["spec"]!["initContainers"]!.AsArray().Single()!);
        Assert.Equal((image, image), (proxy["image"]!.ToString(), init["image"]!.ToString()));
        string[] known = ["--domain", "--proxyLogLevel", "--proxyComponentLogLevel", "--log_output_level", "--concurrency"];
        Assert.Empty(proxy["args"]!.AsArray().Select(argument => argument!.ToString().Split('=')[0]).Where(argument => argument.StartsWith('-')).Except(known));
        string[] rules = ["-p", "-z", "-u", "-m", "-i", "-x", "-b", "-d", "-o", "-q", "-c"];
        Assert.Empty(init["args"]!.AsArray().Select(argument => argument!.ToString()).Where(argument => argument.StartsWith('-')).Except(rules));
        var security = init["securityContext"]!;
        Assert.Equal((capabilities, isReadOnly),
            (string.Join(',', security["capabilities"]!["add"]!.AsArray().Select(name => name!.ToString())), (bool)security["readOnlyRootFilesystem"]!));
    }

    [Fact]
    public void The_path_changes_cluster_and_network_alone()
    {
        var (here, there) = (Inject(), Inject(path: "/inject/cluster/cluster2/net/network2"));
        Assert.Equal(("cluster2", "network2", "network2"),
            (Variable(Proxy(there), "ISTIO_META_CLUSTER_ID"), Variable(Proxy(there), "ISTIO_META_NETWORK"), Label(there, "topology.istio.io/network")));
        Assert.Equal(here.ToJsonString(),
            there.ToJsonString().Replace("cluster2", "cluster1", StringComparison.Ordinal).Replace("network2", "network1", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{proxyProtocol: {version: 1}}", "gatewayTopology.proxyProtocol.version: unknown field")]
    [InlineData("{forwardClientCertDetails: SOMETIMES}", "gatewayTopology.forwardClientCertDetails: unsupported value")]
    public void A_topology_that_cannot_be_honoured_refuses_the_Pod(string topology, string message) =>
        Assert.Contains(message, Assert.Throws<ProblemException>(() => Inject(annotations: $"proxy.istio.io/config: 'gatewayTopology: {topology}'")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData(
        "sidecar.istio.io/userVolume: '[{\"name\":\"certs\",\"secret\":{\"secretName\":\"s\"}}]'\n    sidecar.istio.io/userVolumeMount: "
            + "'[{\"name\":\"certs\",\"mountPath\":\"/etc/c\"}]'")]
    [InlineData(
        "sidecar.istio.io/userVolume: '{\"certs\":{\"secret\":{\"secretName\":\"s\"}}}'\n    sidecar.istio.io/userVolumeMount: "
            + "'{\"certs\":{\"mountPath\":\"/etc/c\"}}'")]
    public void Volumes_of_annotations_reach_the_proxy(string annotations)
    {
        var pod = Inject(annotations: annotations);
        Assert.Equal("s", pod["spec"]!["volumes"]!.AsArray().Single(volume => volume!["name"]!.ToString() == "certs")!["secret"]!["secretName"]!.ToString());
        Assert.Contains("\"certs\"", Annotation(pod, "sidecar.istio.io/status"), StringComparison.Ordinal);
        Assert.Equal("/etc/c", Proxy(pod)["volumeMounts"]!.AsArray().Single(mount => mount!["name"]!.ToString() == "certs")!["mountPath"]!.ToString());
    }

    [Fact]
    public void The_address_of_an_annotation_is_that_of_the_control_plane() =>
        Assert.Contains("\"discoveryAddress\":\"other.istio-system.svc:15012\"",
            Variable(Proxy(Inject(annotations: "sidecar.istio.io/discoveryAddress: other.istio-system.svc:15012")), "PROXY_CONFIG")!, StringComparison.Ordinal);

    [Theory]
    [InlineData("sidecar.istio.io/proxyCPU: lots", "sidecar.istio.io/proxyCPU]: invalid value 'lots': is not an amount of cpu, such as 100m")]
    [InlineData("sidecar.istio.io/proxyMemory: '-1'", "sidecar.istio.io/proxyMemory]: invalid value '-1': is not an amount of memory, such as 128Mi")]
    [InlineData("sidecar.istio.io/proxyCPU: 200m\n    sidecar.istio.io/proxyCPULimit: 100m",
        "sidecar.istio.io/proxyCPULimit]: invalid value '100m': is below the request, sidecar.istio.io/proxyCPU: 200m")]
    [InlineData("sidecar.istio.io/userVolume: '[{'", "sidecar.istio.io/userVolume]: invalid value '[{': it is not JSON")]
    [InlineData("sidecar.istio.io/userVolume: '[1]'", "sidecar.istio.io/userVolume]: invalid value '[1]': each item must be a mapping")]
    [InlineData("sidecar.istio.io/userVolumeMount: '[{}]'", "sidecar.istio.io/userVolumeMount]: invalid value '[{}]': each item needs a name")]
    [InlineData("sidecar.istio.io/bootstrapOverride: own",
        "sidecar.istio.io/bootstrapOverride]: 'own' is not supported (remove it: the proxy has no Envoy bootstrap)")]
    [InlineData("traffic.sidecar.istio.io/kubevirtInterfaces: net1",
        "kubevirtInterfaces]: 'net1' is not supported (remove it: virtual machine interfaces are not supported)")]
    [InlineData("istio.io/reroute-virtual-interfaces: net1", "istio.io/reroute-virtual-interfaces]: 'net1' is not supported")]
    [InlineData("sidecar.istio.io/interceptionMode: TPROXY", "sidecar.istio.io/interceptionMode]: invalid value 'TPROXY': should be REDIRECT or NONE")]
    [InlineData("inject.istio.io/templates: grpc-agent",
        "inject.istio.io/templates]: invalid value 'grpc-agent': no such template (templates: sidecar, gateway)")]
    [InlineData("proxy.istio.io/config: 'concurrency: two'", "concurrency: must be an integer, not a string")]
    [InlineData("proxy.istio.io/config: '{privateKeyProvider: {}}'", "privateKeyProvider: private keys stay in the memory of the proxy")]
    public void Annotations_that_cannot_work_refuse_the_Pod(string annotation, string message) =>
        Assert.Contains(message, Assert.Throws<ProblemException>(() => Inject(annotations: annotation)).Message, StringComparison.Ordinal);

    [Fact]
    public void Annotations_without_effect_are_warned_of_by_name()
    {
        var idle = PodAnnotations.All.Where(known => known.Effect == Isthmus.Mesh.Config.FieldEffect.Warned).Select(known => known.Name).ToList();
        Assert.True(idle.Count > 5);
        List<string> warnings = [];
        PodInjector.Inject(Pod(string.Join("\n    ",
            [.. idle.Select(name => $"{name}: x"), "sidecar.istio.io/proxyCpu: '1'", "proxy.istio.io/config: '{sds: {}, concurency: 2}'",
                "example.com/own: x"]),
            "", ""),
            "trade", Values, InjectionPath.Parse("/inject"), NativeSidecars.Off, warnings);
        Assert.Equal(idle.Count + 3, warnings.Count);
        Assert.All(idle,
            name => Assert.Contains(warnings, warning => warning.StartsWith($"metadata.annotations[{name}]: has no effect (", StringComparison.Ordinal)));
        Assert.Contains("metadata.annotations[sidecar.istio.io/proxyCpu]: unknown annotation (did you mean \"sidecar.istio.io/proxyCPU\"?)", warnings);
        Assert.Contains(warnings,
            warning => warning.StartsWith("metadata.annotations[proxy.istio.io/config]: sds: has no effect in Isthmus", StringComparison.Ordinal));
        Assert.Contains("metadata.annotations[proxy.istio.io/config]: concurency: unknown field \"concurency\" (did you mean \"concurrency\"?)", warnings);
    }

    [Fact]
    public void Expressions_that_select_statistics_are_checked_and_others_pass()
    {
        List<string> warnings = [];
        var injected = PodInjector.Inject(
            Pod("sidecar.istio.io/statsInclusionRegexps: 'cluster.*,('\n    sidecar.istio.io/statsInclusionPrefixes: cluster.outbound, listener",
            "", ""),
            "trade", Values, InjectionPath.Parse("/inject"), NativeSidecars.Off, warnings)!;
        Assert.StartsWith("proxyStatsMatcher.inclusionRegexps: ", Assert.Single(warnings), StringComparison.Ordinal);
        Assert.Equal("""{"inclusionPrefixes":["cluster.outbound","listener"],"inclusionRegexps":["cluster.*"]}""",
            JsonNode.Parse(Variable(Proxy(injected), "PROXY_CONFIG")!)!["proxyStatsMatcher"]!.ToJsonString());
    }

    /// <summary>The columns: the annotation; what the proxy gets, which is nothing where it is null; what the answer says.</summary>
    [Theory]
    [InlineData("""{"istiocustom": [10, 1, 0.5], "istiocustom.istio_request_b": [7]}""", """{"istiocustom":[0.5,1,10],"istiocustom.istio_request_b":[7]}""",
        "")]
    [InlineData("""{"istio": [1], "cluster.xds-grpc": [1]}""", """{"istio":[1]}""",
        "\"cluster.xds-grpc\" has no effect: no histogram of the proxy begins like that")]
    [InlineData("""{"istiocustom": [1, 1]}""", null, "\"istiocustom\" has no effect: needs different numbers above 0")]
    [InlineData("""{"istiocustom": [0]}""", null, "\"istiocustom\" has no effect: needs different numbers above 0")]
    [InlineData("""{"istiocustom": ["1"]}""", null,
        "is not a JSON object of lists of numbers; the default buckets apply (write it like {\"istiocustom\": [1, 5, 10, 50]})")]
    [InlineData("1,2", null, "is not a JSON object of lists of numbers; the default buckets apply (write it like {\"istiocustom\": [1, 5, 10, 50]})")]
    public void Buckets_of_histograms_are_checked_and_pass(string annotation, string? passed, string warning)
    {
        List<string> warnings = [];
        var injected = PodInjector.Inject(Pod($"sidecar.istio.io/statsHistogramBuckets: '{annotation}'", "", ""), "trade", Values,
            InjectionPath.Parse("/inject"), NativeSidecars.Off, warnings)!;
        Assert.Equal(passed, Variable(Proxy(injected), "ISTIO_HISTOGRAM_BUCKETS"));
        Assert.Equal(warning.Length == 0 ? [] : [$"metadata.annotations[sidecar.istio.io/statsHistogramBuckets]: {warning}"], warnings);
    }

    [Fact]
    public void ProxyConfigs_apply_from_the_mesh_to_the_workload_and_below_the_annotation()
    {
        ProxyConfig[] configs =
        [
            Config("istio-system", "", 1, "A=mesh,B=mesh,C=mesh,D=mesh", 1), Config("trade", "", null, "B=namespace,C=namespace,D=namespace", 1),
            Config("trade", "app=shop", 3, "C=young,D=young", 9), Config("trade", "app=shop", null, "C=old", 5), Config("trade", "app=other", 7, "C=other", 1),
            Config("other", "", 8, "A=other", 1), Config("istio-system", "app=shop", 9, "A=root", 1),
        ];
        var labels = new Dictionary<string, string> { ["app"] = "shop" }.ToValueMap();
        var values = Values.With(ProxyConfig.For(configs, "istio-system", "trade", labels));
        var proxy = Proxy(PodInjector.Inject(Pod("proxy.istio.io/config: '{proxyMetadata: {D: pod}}'", "", ""), "trade", values, InjectionPath.Parse("/inject"),
            NativeSidecars.Off)!);
        Assert.Equal(("mesh", "namespace", "old", "pod", "3"),
            (Variable(proxy, "A"), Variable(proxy, "B"), Variable(proxy, "C"), Variable(proxy, "D"), Variable(proxy, "DOTNET_PROCESSOR_COUNT")));

        static ProxyConfig Config(string ns, string selector, int? concurrency, string environment, long created)
        {
            var spec =
                $"selector: {{matchLabels: {{{selector.Replace("=", ": ", StringComparison.Ordinal)}}}}}\nenvironmentVariables: "
                    + $"{{{environment.Replace("=", ": ", StringComparison.Ordinal)}}}\n{(concurrency is { } cpus ? $"concurrency: {cpus}" : "")}";
            var read = IstioConfig.Read(new()
            {
                ["apiVersion"] = "networking.istio.io/v1beta1", ["kind"] = "ProxyConfig", ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = ns },
                ["spec"] = YamlText.Parse(spec, "spec")
            },
                "c1");
            Assert.Empty(read.Problems);
            return (ProxyConfig)read.Value! with { CreatedAt = created };
        }
    }

    [Theory]
    [InlineData("concurrency: 3", "3")]
    [InlineData("concurrency: 0", null)] // all CPUs
    [InlineData("drainDuration: 5s", null)]
    public void A_proxy_uses_as_many_CPUs_as_its_configuration_says(string config, string? cpus) =>
        Assert.Equal(cpus, Variable(Proxy(Inject(annotations: $"proxy.istio.io/config: '{config}'")), "DOTNET_PROCESSOR_COUNT"));

    [Fact]
    public void The_agent_listens_on_the_status_port_of_the_annotation()
    {
        var pod = Inject("status.sidecar.istio.io/port: '123'");
        Assert.Equal(123, (int)JsonNode.Parse(Variable(Proxy(pod), "PROXY_CONFIG")!)!["statusPort"]!);
        Assert.Equal(123,
            (int)pod["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "web")!["readinessProbe"]!["httpGet"]!["port"]!);
    }

    [Theory]
    [InlineData("sidecar")]
    [InlineData("gateway")]
    public void The_canonical_name_fits_into_a_label(string template)
    {
        var name = new string('a', 62) + "-" + new string('b', 20);
        var pod = new JsonObject
        {
            ["spec"] = new JsonObject { ["containers"] = new JsonArray() },
            ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { ["inject.istio.io/templates"] = template } }
        };
        var injected = PodInjector.Inject(pod, "trade", Values, InjectionPath.Default, NativeSidecars.Off, workload: new("Deployment", "apps/v1", name))!;
        Assert.Equal(new string('a', 62), Label(injected, "service.istio.io/canonical-name"));
        Assert.Equal(name, Variable(Proxy(injected), "ISTIO_META_WORKLOAD_NAME"));
    }

    [Theory]
    [InlineData("ReplicaSet", "shop-7f", "pod-template-hash: 7f", "Deployment", "shop")]
    [InlineData("ReplicaSet", "shop-7f", "", "ReplicaSet", "shop-7f")]
    [InlineData("ReplicaSet", "shop-7f", "rollouts-pod-template-hash: 7f", "Rollout", "shop")]
    [InlineData("ReplicationController", "shop-1", "deploymentconfig: shop", "DeploymentConfig", "shop")]
    [InlineData("Job", "report-28371240", "", "CronJob", "report")]
    [InlineData("Job", "report-v2", "", "Job", "report-v2")]
    [InlineData("StatefulSet", "db", "", "StatefulSet", "db")]
    public void The_workload_is_what_stands_behind_the_controller(string kind, string controller, string labels, string expected, string name)
    {
        var pod = (JsonObject)YamlText.Parse(
            $"{{metadata: {{generateName: x-, labels: {{ {labels} }}, ownerReferences: [{{kind: {kind}, name: {controller}, apiVersion: a/v1, controller: "
                + $"true}}]}}}}",
            "test")!;
        Assert.Equal(new WorkloadOwner(expected, "a/v1", name), WorkloadOwner.Of(pod));
    }

    [Theory]
    [InlineData("limits: {cpu: null, memory: 500Mi}, requests: {cpu: null, memory: 150Mi}", """{"limits":{"memory":"500Mi"},"requests":{"memory":"150Mi"}}""")]
    [InlineData("limits: {cpu: '0', memory: 500Mi}", """{"limits":{"cpu":"0","memory":"500Mi"}}""")]
    [InlineData("limits: {cpu: null}, requests: {cpu: 50m}", """{"requests":{"cpu":"50m"}}""")]
    public void A_value_of_null_removes_a_default_resource(string resources, string expected)
    {
        var values = Values.WithValues((JsonObject)YamlText.Parse($"{{global: {{proxy: {{resources: {{ {resources} }}}}}}}}", "test")!);
        var pod = PodInjector.Inject(Pod("", "", ""), "trade", values, InjectionPath.Default, NativeSidecars.Off)!;
        Assert.Equal(expected, Proxy(pod)["resources"]!.ToJsonString());
        Assert.Equal(expected, pod["spec"]!["initContainers"]![0]!["resources"]!.ToJsonString());
    }

    /// <summary>Probes of applications need the agent's port.</summary>
    [Fact]
    public void The_agent_always_has_a_status_port()
    {
        var warnings = new List<string>();
        var pod = PodInjector.Inject(Pod("status.sidecar.istio.io/port: '0'", "", ""), "trade", Global("""{"proxy":{"statusPort":0}}"""),
            InjectionPath.Default, NativeSidecars.Off, warnings)!;
        Assert.Contains(warnings, warning => warning.Contains("status.sidecar.istio.io/port]: 0 has no effect", StringComparison.Ordinal));
        Assert.Equal("15020", Annotation(pod, "prometheus.io/port"));
        Assert.Contains("15090,15021,15020", pod["spec"]!["initContainers"]![0]!["args"]!.ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_Pod_may_name_its_workload()
    {
        var pod = Inject(labels: "service.istio.io/workload-name: mine");
        Assert.Equal("mine", Variable(Proxy(pod), "ISTIO_META_WORKLOAD_NAME"));
        Assert.Equal("kubernetes://apis/apps/v1/namespaces/trade/deployments/shop-deploy", Variable(Proxy(pod), "ISTIO_META_OWNER"));
    }

    /// <summary>The proxy's own traffic would be sent to itself.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_traffic_of_a_proxy_with_another_user_is_not_captured(bool byAgent)
    {
        var pod = Pod("", "", "");
        pod["spec"]!["containers"]!.AsArray()
            .Add(YamlText.Parse("{name: istio-proxy, image: auto, securityContext: {runAsUser: 1234, runAsGroup: 4321}}", "test"));
        var values = byAgent ? Values.WithValues((JsonObject)JsonNode.Parse("""{"istio_cni":{"enabled":true}}""")!) : Values;
        var init = PodInjector.Inject(pod, "trade", values, InjectionPath.Default, NativeSidecars.Off)!["spec"]!["initContainers"]![0]!;
        Assert.Equal(byAgent ? "istio-validation" : "istio-init", init["name"]!.ToString());
        Assert.Contains("""["-u","1234",""", init["args"]!.ToJsonString().Replace("\"15006\",", "[", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal(byAgent ? (1234, 4321) : (0, 0), ((int)init["securityContext"]!["runAsUser"]!, (int)init["securityContext"]!["runAsGroup"]!));
    }

    [Fact]
    public void An_init_container_with_the_name_of_ours_is_replaced_with_a_warning()
    {
        var warnings = new List<string>();
        var pod = PodInjector.Inject(Pod("", "", "initContainers: [{name: istio-init, image: mine}]"), "trade", Values, InjectionPath.Default,
            NativeSidecars.Off, warnings)!;
        Assert.Equal("spec.initContainers[istio-init]: has no effect: injection writes this container (remove it)", Assert.Single(warnings));
        Assert.NotEqual("mine", pod["spec"]!["initContainers"]![0]!["image"]!.ToString());
        warnings.Clear();
        PodInjector.Inject(pod, "trade", Values, InjectionPath.Default, NativeSidecars.Off, warnings);
        Assert.Empty(warnings);
    }

    /// <summary>Other webhooks may add containers between two injections.</summary>
    [Fact]
    public void Probes_of_a_later_container_join_those_of_before()
    {
        var pod = Inject();
        pod["spec"]!["containers"]!.AsArray().Add(YamlText.Parse("{name: late, image: any, livenessProbe: {httpGet: {path: /l, port: 9}}}", "test"));
        var again = PodInjector.Inject(pod, "trade", Values, InjectionPath.Default, NativeSidecars.Off)!;
        var kept = JsonNode.Parse(Variable(Proxy(again), "ISTIO_KUBE_APP_PROBERS")!)!.AsObject();
        Assert.Equal(["/app-health/late/livez", "/app-health/web/readyz"], kept.Select(entry => entry.Key));
        Assert.Equal("/ready", kept["/app-health/web/readyz"]!["httpGet"]!["path"]!.ToString());
    }

    /// <summary>As root it needs not run: the kernel lets others have ports below 1024.</summary>
    [Fact]
    public void A_gateway_is_not_root_and_listens_on_every_port()
    {
        var pod = Pod("inject.istio.io/templates: gateway", "", "");
        pod["spec"]!["containers"]![0] = YamlText.Parse("{name: istio-proxy, image: auto, imagePullPolicy: IfNotPresent}", "test");
        var injected = PodInjector.Inject(pod, "trade", Values, InjectionPath.Default, NativeSidecars.Off)!;
        Assert.Equal("IfNotPresent", Proxy(injected)["imagePullPolicy"]!.ToString());
        var security = Proxy(injected)["securityContext"]!;
        Assert.Equal((1337, true), ((int)security["runAsUser"]!, (bool)security["readOnlyRootFilesystem"]!));
        var sysctl = Assert.Single(injected["spec"]!["securityContext"]!["sysctls"]!.AsArray())!;
        Assert.Equal(("net.ipv4.ip_unprivileged_port_start", "0"), (sysctl["name"]!.ToString(), sysctl["value"]!.ToString()));
    }

    [Fact]
    public void A_network_that_the_Pod_names_wins() =>
        Assert.Equal("mine", Variable(Proxy(Inject(labels: "topology.istio.io/network: mine")), "ISTIO_META_NETWORK"));

    [Fact]
    public void Capture_follows_the_annotations()
    {
        var init = Inject()["spec"]!["initContainers"]![0]!;
        Assert.Equal(["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*", "-d",
            "15090,15021,15020"],
            init["args"]!.AsArray().Take(17).Select(argument => argument!.ToString()));
        var changed = Inject("traffic.sidecar.istio.io/excludeOutboundPorts: '99'")["spec"]!["initContainers"]![0]!["args"]!.AsArray()
            .Select(argument => argument!.ToString()).ToList();
        Assert.Equal("99", changed[changed.IndexOf("-o") + 1]);
    }

    [Fact]
    public void Probes_go_through_the_agent_and_the_originals_are_kept_for_it()
    {
        var pod = Inject();
        var probe = pod["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "web")!["readinessProbe"]!["httpGet"]!;
        Assert.Equal(("/app-health/web/readyz", 15020), (probe["path"]!.ToString(), (int)probe["port"]!));
        Assert.Contains("/ready", Variable(Proxy(pod), "ISTIO_KUBE_APP_PROBERS"));
    }

    [Theory]
    [InlineData("readinessProbe: {httpGet: {path: /r, port: web, scheme: HTTPS, httpHeaders: [{name: Host, value: h}]}, timeoutSeconds: 3}",
        "/app-health/a/readyz",
        """{"httpGet":{"path":"/r","port":8080,"scheme":"HTTPS","httpHeaders":[{"name":"Host","value":"h"}]},"timeoutSeconds":3}""")]
    [InlineData("livenessProbe: {tcpSocket: {port: '9'}}", "/app-health/a/livez", """{"tcpSocket":{"port":9}}""")]
    [InlineData("startupProbe: {grpc: {port: 9, service: db}, failureThreshold: 7}", "/app-health/a/startupz", """{"grpc":{"port":9,"service":"db"}}""")]
    [InlineData("lifecycle: {preStop: {httpGet: {path: /bye, port: web}}}", "/app-lifecycle/a/prestopz", """{"httpGet":{"path":"/bye","port":8080}}""")]
    [InlineData("lifecycle: {postStart: {tcpSocket: {port: web}}}", "/app-lifecycle/a/poststartz", """{"tcpSocket":{"port":8080}}""")]
    [InlineData("livenessProbe: {exec: {command: [x]}}, lifecycle: {preStop: {sleep: {seconds: 1}}}", null, null)]
    [InlineData("livenessProbe: {httpGet: {port: nobody}}", null, null)] // the kubelet reports it
    [InlineData("livenessProbe: {httpGet: {path: /app-health/a/livez, port: 15020}}", null, null)] // of an earlier injection
    public void Each_kind_of_probe_and_hook_is_the_agents(string fields, string? path, string? original)
    {
        var pod = (JsonObject)YamlText.Parse(
            $$"""{metadata: {name: a}, spec: {containers: [{name: a, image: i, ports: [{name: web, containerPort: 8080}], {{fields}} }]} }""",
            "test")!;
        var injected = PodInjector.Inject(pod, "trade", Values, InjectionPath.Default, NativeSidecars.Off)!;
        Assert.Equal(path is null ? null : $$"""{"{{path}}":{{original}}}""", Variable(Proxy(injected), "ISTIO_KUBE_APP_PROBERS"));
        var (before, after) = (pod["spec"]!["containers"]![0]!.ToJsonString(), injected["spec"]!["containers"]![0]!.ToJsonString());
        if (path is null) Assert.Equal(before, after);
        else Assert.Contains($$$"""{"httpGet":{"path":"{{{path}}}","port":15020}}""",
            after.Replace(",\"timeoutSeconds\":3", "", StringComparison.Ordinal).Replace("\"timeoutSeconds\":3,", "", StringComparison.Ordinal)
                .Replace("\"failureThreshold\":7,", "", StringComparison.Ordinal),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", true, true)]
    [InlineData("", false, false)]
    [InlineData("sidecar.istio.io/rewriteAppHTTPProbers: 'true'", false, true)]
    [InlineData("sidecar.istio.io/rewriteAppHTTPProbers: 'false'", true, false)]
    public void The_installation_and_the_Pod_decide_whether_probes_are_rewritten(string annotation, bool installation, bool rewritten)
    {
        var values = Values with
        {
            Values = new() { ["global"] = new JsonObject(), ["sidecarInjectorWebhook"] = new JsonObject { ["rewriteAppHTTPProbe"] = installation } }
        };
        var pod = PodInjector.Inject(Pod(annotation, "", ""), "trade", values, InjectionPath.Default, NativeSidecars.Off)!;
        Assert.Equal(rewritten, Variable(Proxy(pod), "ISTIO_KUBE_APP_PROBERS") is not null);
    }

    [Fact]
    public void A_held_application_comes_after_the_proxy_and_stays_the_default_container()
    {
        var pod = Inject("proxy.istio.io/config: 'holdApplicationUntilProxyStarts: true'");
        Assert.Equal(["istio-proxy", "web"], Names(pod, "containers"));
        Assert.NotNull(Proxy(pod)["lifecycle"]?["postStart"]);
        Assert.Equal("web", Annotation(pod, "kubectl.kubernetes.io/default-container"));
    }

    [Theory]
    [InlineData("sidecar.istio.io/inject: 'false'", "", "", "trade")]
    [InlineData("", "sidecar.istio.io/inject: 'false'", "", "trade")]
    [InlineData("", "sidecar.istio.io/inject: 'maybe'", "", "trade")]
    [InlineData("", "", "hostNetwork: true", "trade")]
    [InlineData("", "", "", "kube-system")]
    public void Some_Pods_are_left_alone(string annotations, string labels, string spec, string ns) =>
        Assert.Null(PodInjector.Inject(Pod(annotations, labels, spec), ns, Values, InjectionPath.Default, NativeSidecars.Off));

    [Fact]
    public void An_injection_of_before_does_not_stop_one() =>
        Assert.Equal(["web", "istio-proxy"], Names(Inject("sidecar.istio.io/status: '{}'"), "containers"));

    [Theory]
    [InlineData("status.sidecar.istio.io/port: x")]
    [InlineData("sidecar.istio.io/rewriteAppHTTPProbers: maybe")]
    [InlineData("traffic.sidecar.istio.io/excludeOutboundPorts: '70000'"), InlineData("traffic.sidecar.istio.io/excludeOutboundPorts: '*'")]
    [InlineData("traffic.sidecar.istio.io/excludeInboundPorts: '*'"), InlineData(
        "traffic.sidecar.istio.io/excludeOutboundIPRanges: '*'"), InlineData("sidecar.istio.io/interceptionMode: 'MAYBE'")]
    [InlineData("inject.istio.io/templates: 'nope'")]
    [InlineData("proxy.istio.io/config: 'holdApplicationUntilProxyStarts: maybe'")]
    [InlineData("proxy.istio.io/config: 'statusPort: many'")]
    [InlineData("traffic.sidecar.istio.io/includeOutboundIPRanges: nowhere")]
    [InlineData("proxy.istio.io/config: '[1]'")]
    public void A_bad_annotation_is_refused_by_its_name(string annotation)
    {
        var problem = Assert.Throws<ProblemException>(() => Inject(annotation));
        Assert.Contains($"metadata.annotations[{annotation[..annotation.IndexOf(':')]}]", problem.Message);
    }

    [Theory]
    [InlineData("", "", null)]
    [InlineData("IfNotPresent", "", "IfNotPresent")]
    [InlineData("Never", "isthmus.internal/image-pull-policy: Always", "Always")]
    public void A_gateway_has_the_configured_pull_policy_and_not_that_of_its_placeholder(string configured, string annotation, string? expected)
    {
        var pod = Pod($"inject.istio.io/templates: gateway\n    {annotation}", "", "");
        // An API server sets Always, because the placeholder has no tag.
        pod["spec"]!["containers"]![0] = new JsonObject { ["name"] = "istio-proxy", ["image"] = "auto", ["imagePullPolicy"] = "Always" };
        var injected = PodInjector.Inject(pod, "trade", Global($$"""{"hub":"registry.example.com","tag":"1.0","imagePullPolicy":"{{configured}}"}"""),
            InjectionPath.Default, NativeSidecars.Off)!;
        Assert.Equal("registry.example.com/isthmus:1.0", Proxy(injected)["image"]!.ToString());
        Assert.Equal(expected, Proxy(injected)["imagePullPolicy"]?.ToString());
    }

    [Fact]
    public void A_proxy_with_an_image_of_its_own_keeps_its_pull_policy()
    {
        var pod = Pod("", "", "");
        pod["spec"]!["containers"]!.AsArray().Add((JsonNode)new JsonObject { ["name"] = "istio-proxy", ["image"] = "mine:1", ["imagePullPolicy"] = "Always" });
        Assert.Equal("Always",
            Proxy(PodInjector.Inject(pod, "trade", Global("""{"imagePullPolicy":"Never"}"""), InjectionPath.Default,
                NativeSidecars.Off)!)["imagePullPolicy"]!.ToString());
    }

    [Fact]
    public void Pods_get_the_credentials_of_the_registry_beside_their_own()
    {
        var injected = PodInjector.Inject(Pod("", "", "imagePullSecrets: [{name: mine}, {name: shared}]"), "trade",
            Global("""{"imagePullSecrets":["shared","mesh"]}"""), InjectionPath.Default, NativeSidecars.Off)!;
        Assert.Equal(["mine", "shared", "mesh"], Names(injected, "imagePullSecrets"));
        Assert.Equal("""["shared","mesh"]""", JsonNode.Parse(Annotation(injected, "sidecar.istio.io/status")!)!["imagePullSecrets"]!.ToJsonString());
        Assert.Null(Inject()["spec"]!["imagePullSecrets"]);
    }

    private static InjectorValues Global(string global) => Values with { Values = new() { ["global"] = JsonNode.Parse(global) } };

    [Fact]
    public void Pods_search_the_domains_that_the_installation_names()
    {
        var values = Values with
        {
            Values = (JsonObject)JsonNode.Parse(
                """{"global":{"podDNSSearchNamespaces":["global","{{ valueOrDefault .DeploymentMeta.Namespace \"default\" }}.global","{{ .Other }}"]}}""")!
        };
        var pod = PodInjector.Inject(Pod("", "", ""), "trade", values, InjectionPath.Parse("/inject"), NativeSidecars.Off)!;
        Assert.Equal(["global", "trade.global"], pod["spec"]!["dnsConfig"]!["searches"]!.AsArray().Select(search => search!.ToString()));
        Assert.Null(Inject()["spec"]!["dnsConfig"]);
    }

    /// <summary>Kubernetes gives users of its own only to a Pod that shares no namespace with its node. What injection adds shares nothing.</summary>
    [Fact]
    public void A_Pod_with_users_of_its_own_keeps_them()
    {
        var pod = PodInjector.Inject(Pod("", "", "hostUsers: false"), "trade", Values, InjectionPath.Parse("/inject"), NativeSidecars.Off)!;
        Assert.False((bool)pod["spec"]!["hostUsers"]!);
        foreach (var field in (string[])["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"]) Assert.Null(pod["spec"]![field]);
        Assert.DoesNotContain("hostPath", pod["spec"]!["volumes"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.DoesNotContain("\"privileged\":true", pod.ToJsonString(), StringComparison.Ordinal);
    }

    private static JsonObject Inject(string annotations = "", string labels = "", string path = "/inject") =>
        PodInjector.Inject(Pod(annotations, labels, ""), "trade", Values, InjectionPath.Parse(path), NativeSidecars.Off)!;

    private static JsonObject Pod(string annotations, string labels, string spec) => (JsonObject)YamlText.Parse($$$"""
        metadata:
          generateName: shop-deploy-5d8-
          ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: shop-deploy-5d8, controller: true}]
          annotations:
            {{{annotations}}}
          labels:
            app: shop
            version: v7
            pod-template-hash: 5d8
            {{{labels}}}
        spec:
          {{{spec}}}
          containers:
          - name: web
            image: any
            ports: [{containerPort: 8080}]
            readinessProbe: {httpGet: {path: /ready, port: 8080}}
        """, "test")!;

    private static IEnumerable<string> Names(JsonObject pod, string list) => pod["spec"]![list]!.AsArray().Select(entry => entry!["name"]!.ToString());

    private static JsonNode Proxy(JsonObject pod) =>
        pod["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;

    private static string? Variable(JsonNode proxy, string name) =>
        proxy["env"]!.AsArray().SingleOrDefault(entry => entry!["name"]!.ToString() == name)?["value"]?.ToString();

    private static string? Label(JsonObject pod, string name) => pod["metadata"]!["labels"]?[name]?.ToString();

    private static string? Annotation(JsonObject pod, string name) => pod["metadata"]!["annotations"]?[name]?.ToString();
}
