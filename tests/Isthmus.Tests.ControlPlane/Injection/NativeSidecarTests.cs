using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Injection;

/// <summary>Proxies as init containers that the kubelet keeps running.</summary>
public sealed class NativeSidecarTests
{
    private static readonly InjectorValues Values = new((JsonObject)JsonNode.Parse("""{"global":{}}""")!, [], "cluster.local");

    [Theory]
    [InlineData(NativeSidecarMode.Auto, "v1.33.0 v1.34.2-eks-1", true)]
    [InlineData(NativeSidecarMode.Auto, "v1.33.0 v1.32.9", false)]
    [InlineData(NativeSidecarMode.Auto, "v1.32.0+isthmus", false)]
    [InlineData(NativeSidecarMode.Auto, "", false)] // no Node is known
    [InlineData(NativeSidecarMode.Auto, "v1.33.0 fake", false)]
    [InlineData(NativeSidecarMode.Enabled, "v1.29.0 v1.32.9", true)]
    [InlineData(NativeSidecarMode.Enabled, "v1.28.15 v1.34.0", false)]
    [InlineData(NativeSidecarMode.Enabled, "", true)]
    [InlineData(NativeSidecarMode.Disabled, "v1.34.0", false)]
    public void The_kubelets_of_the_cluster_decide(NativeSidecarMode mode, string versions, bool native) =>
        Assert.Equal(native, IsNative(Inject(Pod(), Natives(mode, versions))));

    [Theory]
    [InlineData("node0", true)]
    [InlineData("node1", false)]
    [InlineData("unknown", false)] // every Node counts
    public void The_Node_that_a_Pod_names_decides_alone(string node, bool native) =>
        Assert.Equal(native, IsNative(Inject(Pod(spec: $"nodeName: {node}"), Natives(NativeSidecarMode.Auto, "v1.33.0 v1.32.0"))));

    [Theory]
    [InlineData("true", NativeSidecarMode.Disabled, "v1.29.0", true)]
    [InlineData("false", NativeSidecarMode.Enabled, "v1.34.0", false)]
    [InlineData("true", NativeSidecarMode.Disabled, "", true)]
    public void The_annotation_of_a_Pod_wins(string value, NativeSidecarMode mode, string versions, bool native) =>
        Assert.Equal(native, IsNative(Inject(Pod($"sidecar.istio.io/nativeSidecar: '{value}'"), Natives(mode, versions))));

    [Theory]
    [InlineData("maybe", "invalid value 'maybe': it must be true or false")]
    [InlineData("true", "invalid value 'true': the kubelet of Node node1 is v1.28.3, and native sidecars need v1.29 or later")]
    public void An_annotation_that_can_have_no_effect_refuses_the_Pod(string value, string message)
    {
        var problem = Assert.Throws<ProblemException>(() => Inject(Pod($"sidecar.istio.io/nativeSidecar: '{value}'"),
            Natives(NativeSidecarMode.Auto, "v1.33.0 v1.28.3")));
        Assert.Contains($"metadata.annotations[sidecar.istio.io/nativeSidecar]: {message}", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_setting_of_the_installation_that_has_no_effect_is_told()
    {
        var natives = Natives(NativeSidecarMode.Enabled, "v1.28.3");
        Assert.Equal("ENABLE_NATIVE_SIDECARS=true has no effect on this Pod: the kubelet of Node node0 is v1.28.3, and native sidecars need v1.29 or later",
            natives.Notice(Pod()));
        Assert.Null(natives.Notice(Pod("sidecar.istio.io/nativeSidecar: 'false'")));
        Assert.Null(Natives(NativeSidecarMode.Enabled, "v1.29.0").Notice(Pod()));
    }

    [Fact]
    public void Capture_comes_first_then_the_proxy_then_what_calls_the_mesh()
    {
        var pod = Inject(Pod(spec: "initContainers: [{name: migrate, image: any}, {name: side, image: any, restartPolicy: Always}]"));
        Assert.Equal(["istio-init", "istio-proxy", "migrate", "side"], Names(pod, "initContainers"));
        Assert.Equal(["web"], Names(pod, "containers"));
        var status = JsonNode.Parse(pod["metadata"]!["annotations"]!["sidecar.istio.io/status"]!.ToString())!;
        Assert.Equal(("""["istio-init","istio-proxy"]""", null), (status["initContainers"]!.ToJsonString(), status["containers"]));
        Assert.Equal("web", pod["metadata"]!["annotations"]!["kubectl.kubernetes.io/default-container"]!.ToString());
    }

    [Fact]
    public void Without_capture_the_proxy_comes_first() =>
        Assert.Equal(["istio-proxy", "migrate"],
            Names(Inject(Pod("sidecar.istio.io/interceptionMode: NONE", "initContainers: [{name: migrate, image: any}]")), "initContainers"));

    [Fact]
    public void An_ordinary_sidecar_captures_traffic_after_the_other_init_containers() =>
        Assert.Equal(["migrate", "istio-init"],
            Names(Inject(Pod(spec: "initContainers: [{name: migrate, image: any}]"), NativeSidecars.Off), "initContainers"));

    [Fact]
    public void It_starts_before_others_by_its_startup_probe_and_drains_when_the_Pod_begins_to_end()
    {
        var proxy = Proxy(Inject(Pod("proxy.istio.io/config: 'holdApplicationUntilProxyStarts: true'")));
        Assert.Equal("Always", proxy["restartPolicy"]!.ToString());
        Assert.Equal("/healthz/ready", proxy["startupProbe"]!["httpGet"]!["path"]!.ToString());
        Assert.NotNull(proxy["readinessProbe"]);
        Assert.Equal("""{"preStop":{"exec":{"command":["pilot-agent","request","--debug-port=15020","POST","drain"]}}}""", proxy["lifecycle"]!.ToJsonString());
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void Holding_the_application_needs_the_startup_probe(bool holds, bool probes)
    {
        var values = Values with
        {
            Values = (JsonObject)JsonNode.Parse(
                $$$"""{"global":{"proxy":{"startupProbe":{"enabled":false},"holdApplicationUntilProxyStarts":{{{(holds ? "true" : "false")}}} } } }""")!
        };
        Assert.Equal(probes,
            Proxy(PodInjector.Inject(Pod(), "trade", values, InjectionPath.Default, Natives(NativeSidecarMode.Enabled, ""))!)["startupProbe"] is not null);
    }

    [Theory]
    [InlineData("containers: [{name: web, image: any}, {name: istio-proxy, image: auto, resources: {limits: {cpu: '3'}}}]")]
    [InlineData(
        "containers: [{name: web, image: any}], initContainers: [{name: istio-proxy, image: auto, restartPolicy: Never, resources: {limits: {cpu: '3'}}}]")]
    public void The_proxy_that_a_Pod_describes_moves_to_its_place(string containers)
    {
        var pod = (JsonObject)YamlText.Parse($$"""{metadata: {name: web}, spec: { {{containers}} } }""", "test")!;
        var native = Inject((JsonObject)pod.DeepClone());
        Assert.Equal(["istio-init", "istio-proxy"], Names(native, "initContainers"));
        Assert.Equal(["web"], Names(native, "containers"));
        Assert.Equal(("3", "Always"), (Proxy(native)["resources"]!["limits"]!["cpu"]!.ToString(), Proxy(native)["restartPolicy"]!.ToString()));
        Assert.Equal("istio-proxy",
            JsonNode.Parse(native["metadata"]!["annotations"]!["proxy.istio.io/overrides"]!.ToString())!["initContainers"]![0]!["name"]!.ToString());
        var ordinary = Inject(pod, NativeSidecars.Off);
        Assert.Equal(["istio-init"], Names(ordinary, "initContainers"));
        Assert.Equal(["web", "istio-proxy"], Names(ordinary, "containers"));
        Assert.Null(ordinary["spec"]!["containers"]![1]!["restartPolicy"]);
    }

    [Fact]
    public void Probes_of_the_applications_own_sidecars_are_the_agents_only_if_it_runs_before_them()
    {
        const string sidecars =
            "initContainers: [{name: side, image: any, restartPolicy: Always, startupProbe: {httpGet: {port: 80}}, lifecycle: {postStart: {httpGet: {port: "
                + "80}}}}, {name: once, image: any}]";
        var native = Inject(Pod(spec: sidecars));
        Assert.Equal("""{"/app-health/side/startupz":{"httpGet":{"port":80}},"/app-lifecycle/side/poststartz":{"httpGet":{"port":80}}}""",
            Proxy(native)["env"]!.AsArray().Single(entry => entry!["name"]!.ToString() == "ISTIO_KUBE_APP_PROBERS")!["value"]!.ToString());
        var ordinary = Inject(Pod(spec: sidecars), NativeSidecars.Off);
        Assert.Equal("80", ordinary["spec"]!["initContainers"]![0]!["startupProbe"]!["httpGet"]!["port"]!.ToString());
        Assert.DoesNotContain("app-health", ordinary.ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Injecting_twice_changes_nothing()
    {
        var once = Inject(Pod(spec: "initContainers: [{name: migrate, image: any}]"));
        var twice = Inject(once);
        once["metadata"]!["annotations"]!.AsObject().Remove("proxy.istio.io/overrides");
        twice["metadata"]!["annotations"]!.AsObject().Remove("proxy.istio.io/overrides");
        Assert.Equal(Names(once, "initContainers"), Names(twice, "initContainers"));
        Assert.Equal(Names(once, "containers"), Names(twice, "containers"));
        Assert.Equal(Proxy(once)["lifecycle"]!.ToJsonString(), Proxy(twice)["lifecycle"]!.ToJsonString());
    }

    [Fact]
    public void A_gateway_is_an_ordinary_container()
    {
        var pod = Pod("inject.istio.io/templates: gateway");
        pod["spec"]!["containers"]![0] = new JsonObject { ["name"] = "istio-proxy", ["image"] = "auto" };
        var injected = Inject(pod);
        Assert.Equal(["istio-proxy"], Names(injected, "containers"));
        Assert.Null(injected["spec"]!["initContainers"]);
    }

    [Theory]
    [InlineData(null, NativeSidecarMode.Auto)]
    [InlineData("auto", NativeSidecarMode.Auto)]
    [InlineData("1", NativeSidecarMode.Enabled)]
    [InlineData("false", NativeSidecarMode.Disabled)]
    public void The_environment_of_the_control_plane_sets_the_mode(string? value, NativeSidecarMode mode) => Assert.Equal(mode, Settings(value).NativeSidecars);

    [Fact]
    public void Another_mode_is_refused() =>
        Assert.Contains("ENABLE_NATIVE_SIDECARS: 'never' is not true, false or auto", Assert.Throws<ProblemException>(() => Settings("never")).Message,
            StringComparison.Ordinal);

    private static DiscoverySettings Settings(string? value) => DiscoverySettings.Read([], name => name == "ENABLE_NATIVE_SIDECARS" ? value : null);

    private static NativeSidecars Natives(NativeSidecarMode mode, string versions) =>
        new(mode, versions.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((version, i) => KeyValuePair.Create($"node{i}", version)).ToValueMap());

    private static JsonObject Inject(JsonObject pod, NativeSidecars? natives = null) =>
        PodInjector.Inject(pod, "trade", Values, InjectionPath.Default, natives ?? Natives(NativeSidecarMode.Auto, "v1.33.0"))!;

    private static JsonObject Pod(string annotations = "", string spec = "") => (JsonObject)YamlText.Parse($$"""
        metadata:
          name: web
          annotations:
            {{annotations}}
        spec:
          {{spec}}
          containers: [{name: web, image: any}]
        """, "test")!;

    private static bool IsNative(JsonObject pod) => !Names(pod, "containers").Contains("istio-proxy");

    private static IEnumerable<string> Names(JsonObject pod, string list) => pod["spec"]![list]!.AsArray().Select(entry => entry!["name"]!.ToString());

    private static JsonNode Proxy(JsonObject pod) =>
        pod["spec"]!["initContainers"]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;
}
