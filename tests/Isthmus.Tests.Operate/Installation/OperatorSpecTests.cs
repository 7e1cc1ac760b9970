using Isthmus.Core.Problems;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

public sealed class OperatorSpecTests
{
    private const string Head = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n";

    [Fact]
    public void Flags_win_over_files_and_files_over_the_profile()
    {
        var spec = OperatorSpec.Build(
            [("a.yaml", Head + "metadata:\n  name: mine\nspec:\n  values:\n    global:\n      network: from-file\n      meshID: mesh9\n")],
            ["values.global.network=from-flag", "spec.meshConfig.trustDomain=old.example"], "blue");
        Assert.Equal("from-flag", spec.Network);
        Assert.Equal("mesh9", spec.Value("global", "meshID")?.ToString());
        Assert.Equal("old.example", spec.TrustDomain);
        Assert.Equal(("mine", "blue", "default"), (spec.Name, spec.RevisionOrDefault, spec.Profile));
    }

    /// <summary>As in Istio, there may be no limit.</summary>
    [Fact]
    public void An_amount_without_a_value_removes_the_default_and_other_keys_set_nothing()
    {
        var spec = OperatorSpec.Build(
            [("a.yaml", Head + "spec:\n  hub:\n  values:\n    global:\n      proxy:\n        logLevel:\n        resources: {limits: {cpu: null}}\n")],
            [], null);
        Assert.Equal("""{"limits":{"memory":"1024Mi"},"requests":{"cpu":"100m","memory":"128Mi"}}""",
            spec.Value("global", "proxy", "resources")!.ToJsonString());
        Assert.Equal("warning", spec.Value("global", "proxy", "logLevel")!.ToString());
        var flagged = OperatorSpec.Build([], ["values.global.proxy.resources.limits.memory=null"], null).Value("global", "proxy", "resources")!;
        Assert.Equal("""{"cpu":"2000m"}""", flagged["limits"]!.ToJsonString());
    }

    [Fact]
    public void Gateways_merge_by_their_names_across_files()
    {
        const string file = Head + "spec:\n  profile: empty\n  components:\n    ingressGateways:\n    - name: eastwest\n      ";
        var spec = OperatorSpec.Build([("a.yaml", file + "enabled: true\n"), ("b.yaml", file + "label:\n        app: x\n")], [], null);
        var gateway = Assert.Single(spec.Gateways("ingressGateways"), gateway => gateway["name"]!.ToString() == "eastwest");
        Assert.True((bool)gateway["enabled"]!);
        Assert.Equal("x", gateway["label"]!["app"]!.ToString());
    }

    [Theory]
    [InlineData(Head + "spec:\n  valuez: {}\n", "unknown field \"valuez\" in spec")]
    [InlineData(Head + "spec:\n  components:\n    pilot:\n      enabeld: true\n", "unknown field \"enabeld\" in spec.components.pilot")]
    [InlineData(Head + "spec:\n  components:\n    pilot:\n      enabled: \"yes\"\n", "spec.components.pilot.enabled: 'yes' is not true or false")]
    [InlineData(Head + "spec:\n  components:\n    ingressGateways:\n    - enabled: true\n", "spec.components.ingressGateways[0].name: is required")]
    [InlineData(Head + "spec:\n  components:\n    ingressGateways: 5\n", "should be a list of gateways")]
    [InlineData(Head + "spec:\n  components: 5\n", "spec.components: '5' should be a mapping")]
    [InlineData(Head + "spec:\n  values: text\n", "spec.values: 'text' should be a mapping")]
    [InlineData(Head + "spec: text\n", "spec: should be a mapping")]
    [InlineData(Head + "metadata: text\nspec: {}\n", "metadata: should be a mapping")]
    [InlineData(Head + "specs: {}\n", "unknown field \"specs\"")]
    [InlineData(Head + "spec:\n  profile: [a]\n", "spec.profile: should be text")]
    [InlineData(Head + "spec:\n  values: {global: 5}\n", "spec.values.global: '5' should be a mapping")]
    [InlineData(Head + "spec:\n  values: {global: {network: [a]}}\n", "spec.values.global.network: should be text")]
    [InlineData(Head + "spec:\n  values: {global: {network: a b}}\n", "spec.values.global.network: 'a b' cannot be a label")]
    [InlineData(Head + "spec:\n  values: {global: {externalIstiod: maybe}}\n", "spec.values.global.externalIstiod: 'maybe' is not true or false")]
    [InlineData(Head + "spec:\n  values: {pilot: {replicaCount: -1}}\n", "spec.values.pilot.replicaCount: '-1' is not a whole number")]
    [InlineData(Head + "spec:\n  values: {pilot: {replicaCount: 2.5}}\n", "spec.values.pilot.replicaCount: '2.5' is not a whole number")]
    [InlineData(Head + "spec:\n  revision: UPPER_\n", "spec.revision: 'UPPER_' cannot be part of the names")]
    [InlineData(Head + "spec:\n  components: {pilot: {k8s: {replicaCount: many}}}\n", "spec.components.pilot.k8s.replicaCount: 'many' is not a whole number")]
    [InlineData(Head + "spec:\n  components: {ingressGateways: [{name: g, label: x}]}\n", "spec.components.ingressGateways[0].label: 'x' should be a mapping")]
    [InlineData(Head + "spec:\n  components: {ingressGateways: [{name: g, k8s: {env: {a: b}}}]}\n",
        "spec.components.ingressGateways[0].k8s.env: a mapping should be a list")]
    [InlineData(Head + "spec:\n  components: {ingressGateways: [{name: g, k8s: {service: {ports: [{port: tls}]}}}]}\n",
        "spec.components.ingressGateways[0].k8s.service.ports[0].port: 'tls' is not a whole number")]
    [InlineData(Head + "spec:\n  components: {ingressGateways: [{name: g, k8s: {service: {ports: [{name: tls}]}}}]}\n",
        "spec.components.ingressGateways[0].k8s.service.ports[0].port: is required")]
    [InlineData(Head + "spec: {hub: 'https://registry.example.com'}\n",
        "spec.hub: 'https://registry.example.com' is not the beginning of an image's name (for example registry.example.com/team, without http://")]
    [InlineData(Head + "spec: {hub: registry.example.com/}\n", "spec.hub: 'registry.example.com/' is not the beginning of an image's name")]
    [InlineData(Head + "spec: {tag: 'a b'}\n", "spec.tag: 'a b' is not an image's tag")]
    [InlineData(Head + "spec: {values: {global: {imagePullPolicy: Sometimes}}}\n",
        "spec.values.global.imagePullPolicy: unsupported value 'Sometimes' (use Always, IfNotPresent or Never)")]
    [InlineData(Head + "spec: {values: {global: {imagePullSecrets: [Bad_Name]}}}\n",
        "spec.values.global.imagePullSecrets[0]: 'Bad_Name' is not the name of an object")]
    [InlineData(Head + "spec: {values: {gateways: {istio-ingressgateway: {type: Nodeport}}}}\n",
        "spec.values.gateways.istio-ingressgateway.type: unsupported value 'Nodeport' (use LoadBalancer, NodePort or ClusterIP)")]
    [InlineData(Head + "spec: {components: {ingressGateways: [{name: g, k8s: {service: {externalTrafficPolicy: local}}}]}}\n",
        "spec.components.ingressGateways[0].k8s.service.externalTrafficPolicy: unsupported value 'local' (use Cluster or Local)")]
    [InlineData(Head + "spec: {components: {ingressGateways: [{name: g, k8s: {service: {loadBalancerSourceRanges: [10.0.0.0/33]}}}]}}\n",
        "spec.components.ingressGateways[0].k8s.service.loadBalancerSourceRanges[0]: '10.0.0.0/33' is not a range of addresses (for example 192.0.2.0/24)")]
    [InlineData(Head + "spec: {values: {sidecarInjectorWebhook: {templates: {a: '{{ if }}'}}}}\n",
        "spec.values.sidecarInjectorWebhook.templates.a: template a:1: a value is missing")]
    [InlineData(Head + "spec: {values: {sidecarInjectorWebhook: {templates: {sidecar: x}}}}\n",
        "spec.values.sidecarInjectorWebhook.templates.sidecar: cannot replace the template of the proxy")]
    [InlineData(Head + "spec: {values: {sidecarInjectorWebhook: {defaultTemplates: [b]}}}\n",
        "spec.values.sidecarInjectorWebhook.defaultTemplates: template 'b' does not exist")]
    [InlineData(Head + "spec: {}\n---\n" + Head + "spec: {}\n", "holds 2 IstioOperators; expected one")]
    [InlineData("", "is empty; expected an IstioOperator")]
    [InlineData("# nothing\n---\n", "is empty")]
    [InlineData("kind: Service\n", "is not IstioOperator")]
    [InlineData("apiVersion: install.istio.io/v2\nkind: IstioOperator\n", "is not install.istio.io/v1alpha1")]
    [InlineData("- a\n", "expected a YAML mapping")]
    [InlineData("a: [\n", "is not valid YAML")]
    public void A_wrong_file_is_refused_with_its_name_and_the_field(string text, string words)
    {
        var problem = Assert.Throws<ProblemException>(() => OperatorSpec.Build([("mesh.yaml", text)], [], null));
        Assert.Contains(words, problem.Message);
        Assert.StartsWith("mesh.yaml", problem.Message);
    }

    [Theory]
    [InlineData("nothing", "is not of the form path=value")]
    [InlineData("a[x]=1", "list index")]
    [InlineData("a[5000]=1", "list index")]
    [InlineData("components.ingressGateways.name=x", "is below a value that is not a mapping")]
    public void A_wrong_flag_is_refused_with_the_flag(string flag, string words)
    {
        var problem = Assert.ThrowsAny<ProblemException>(() =>
        {
            var spec = new System.Text.Json.Nodes.JsonObject();
            SetFlag.Apply(spec, "components.ingressGateways[0].enabled=true");
            SetFlag.Apply(spec, flag);
        });
        Assert.Contains(words, problem.Message);
        Assert.Contains($"--set {flag}", problem.Message);
    }

    [Theory]
    [InlineData("values.global=5", "--set: spec.values.global: '5' should be a mapping")]
    [InlineData("components.pilot.k8s.replicaCount=abc", "--set: spec.components.pilot.k8s.replicaCount: 'abc' is not a whole number")]
    [InlineData("profile.x=1", "--set: spec.profile: should be text")]
    [InlineData("revision=UPPER_", "--set: spec.revision: 'UPPER_' cannot be part of the names")]
    public void A_flag_with_a_wrong_value_is_refused_with_the_field(string flag, string words) =>
        Assert.StartsWith(words, Assert.Throws<ProblemException>(() => OperatorSpec.Build([], [flag], null)).Message);

    [Fact]
    public void A_revision_that_cannot_be_a_name_is_refused() =>
        Assert.StartsWith("--revision: spec.revision: 'a/b' cannot be part", Assert.Throws<ProblemException>(() => OperatorSpec.Build([], [], "a/b")).Message);

    [Theory]
    [InlineData("a.b=1", """{"a":{"b":1}}""")]
    [InlineData("a.b=\"1\"", """{"a":{"b":"1"}}""")]
    [InlineData("a=true", """{"a":true}""")]
    [InlineData("a=x=y", """{"a":"x=y"}""")]
    [InlineData("a.example\\.com/b=c", """{"a":{"example.com/b":"c"}}""")]
    [InlineData("a[1].b=c", """{"a":[null,{"b":"c"}]}""")]
    [InlineData("spec.values.x=1", """{"values":{"x":1}}""")]
    public void A_flag_puts_its_value_where_the_path_says(string flag, string expected)
    {
        var spec = new System.Text.Json.Nodes.JsonObject();
        SetFlag.Apply(spec, flag);
        Assert.Equal(expected, spec.ToJsonString());
    }
}
