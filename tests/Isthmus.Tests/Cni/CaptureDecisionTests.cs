using System.Text.Json.Nodes;
using Isthmus.Capture;
using Isthmus.Cni.Pods;
using Isthmus.Cni.Repair;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.Cni;

/// <summary>Which Pods the agent captures, and with which rules.</summary>
public sealed class CaptureDecisionTests
{
    private const string InMesh = """
        metadata: {name: web, namespace: shop, annotations: {sidecar.istio.io/status: "{}"}}
        spec:
          initContainers: [{name: istio-validation, args: [istio-iptables, -p, "15001", -i, "*", -b, "*", --run-validation, --skip-rule-apply],
             env: [{name: ISTIO_META_DNS_CAPTURE, value: "true"}, {name: X, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]
          containers: [{name: web}, {name: istio-proxy}]
        """;

    [Theory]
    [InlineData("", "", "")]
    [InlineData("spec:", "spec:\n  hostNetwork: true", "it uses the node's network")]
    [InlineData("namespace: shop", "namespace: kube-system", "namespace kube-system is excluded")]
    [InlineData("name: istio-validation", "name: istio-init", "its container istio-init does it")]
    [InlineData(", {name: istio-proxy}", "", "it has no container istio-proxy")]
    [InlineData("sidecar.istio.io/status", "other", "it lacks the annotation sidecar.istio.io/status")]
    [InlineData("name: web, namespace", "name: web, labels: {sidecar.istio.io/inject: \"false\"}, namespace", "sidecar.istio.io/inject is false")]
    [InlineData("istio-iptables,", "sh,", "the arguments of its container istio-validation do not begin with istio-iptables")]
    [InlineData("name: istio-validation", "name: other", "it has no container istio-validation: it was injected without the CNI node agent")]
    public void A_Pod_is_captured_if_it_was_injected_for_it(string what, string by, string reason)
    {
        var decision = CaptureDecision.Of(Parse(what.Length == 0 ? InMesh : InMesh.Replace(what, by, StringComparison.Ordinal)), ["kube-system"]);
        Assert.Equal((reason, reason.Length == 0), (decision.Reason, decision.Captures));
    }

    [Fact]
    public void A_native_sidecar_counts() =>
        Assert.True(CaptureDecision.Of(Parse(InMesh.Replace(", {name: istio-proxy}]", "]", StringComparison.Ordinal)
            .Replace("initContainers: [", "initContainers: [{name: istio-proxy}, ", StringComparison.Ordinal)),
            []).Captures);

    [Fact]
    public void The_rules_are_those_that_the_container_names()
    {
        var decision = CaptureDecision.Of(Parse(InMesh), []);
        Assert.Equal(["ISTIO_META_DNS_CAPTURE"], decision.Environment.Keys);
        var rules = PodCapture.Rules(decision.Flags!, decision.Environment);
        Assert.Contains("meta l4proto tcp redirect to :15006", rules, StringComparison.Ordinal);
        // The agent does not know the Pod's name servers.
        Assert.Contains("    udp dport 53 redirect to :15053", rules, StringComparison.Ordinal);
        var bad = CaptureDecision.Of(Parse(InMesh.Replace("\"15001\"", "\"x; drop\"", StringComparison.Ordinal)), []);
        Assert.Contains("-p: invalid value 'x; drop'", Assert.Throws<ProblemException>(() => PodCapture.Rules(bad.Flags!, bad.Environment)).Message,
            StringComparison.Ordinal);
    }

    /// <summary>With the agent, a Pod is captured exactly as its init container would capture it.</summary>
    [Theory]
    [InlineData("")]
    [InlineData(
        "traffic.sidecar.istio.io/excludeOutboundIPRanges: 10.1.0.0/16, traffic.sidecar.istio.io/excludeInboundPorts: '81,82', "
            + "traffic.sidecar.istio.io/includeOutboundPorts: '443', traffic.sidecar.istio.io/excludeInterfaces: eth1")]
    public void The_agent_and_the_init_container_load_the_same_rules(string annotations)
    {
        var pod = YamlText.Parse($"{{metadata: {{name: web, annotations: {{{annotations}}}}}, spec: {{containers: [{{name: web}}]}}}}", "test")!.AsObject();
        JsonObject Inject(string values) =>
            PodInjector.Inject(pod, "shop", new((JsonObject)JsonNode.Parse(values)!, [], "cluster.local"), InjectionPath.Default, NativeSidecars.Off)!;
        var own = Inject("""{"global": {"proxy": {"includeIPRanges": "10.0.0.0/8"}}}""")["spec"]!["initContainers"]![0]!["args"]!.AsArray().Skip(1)
            .Select(arg => arg!.ToString()).ToList();
        var decision = CaptureDecision.Of(Typed(Inject("""{"global": {"proxy": {"includeIPRanges": "10.0.0.0/8"}}, "istio_cni": {"enabled": true}}""")), []);
        Assert.Equal("", decision.Reason);
        Assert.Equal(PodCapture.Rules(own, new Dictionary<string, string>()), PodCapture.Rules(decision.Flags!, decision.Environment));
    }

    [Theory]
    [InlineData("state: {terminated: {exitCode: 126}}", true)]
    [InlineData("state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 126}}", true)]
    [InlineData("state: {running: {}}, lastState: {terminated: {exitCode: 126}}", false)]
    [InlineData("state: {terminated: {exitCode: 0}}, lastState: {terminated: {exitCode: 126}}", false)]
    [InlineData("state: {terminated: {exitCode: 1}}", false)]
    [InlineData("state: {waiting: {}}", false)]
    public void Only_a_failed_check_asks_for_repair(string state, bool broken) =>
        Assert.Equal(broken, PodRepair.Failure(Parse($"status: {{initContainerStatuses: [{{name: istio-validation, {state}}}]}}")) is not null);

    private static Pod Parse(string yaml) => Typed(YamlText.Parse(yaml, "test")!.AsObject());

    private static Pod Typed(JsonObject pod) => System.Text.Json.JsonSerializer.Deserialize(pod.ToJsonString(), KubeJson.Default.Pod)!;
}
