using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Injection;

/// <summary>Templates that an installation adds (values.sidecarInjectorWebhook).</summary>
public sealed class InjectionTemplateTests
{
    private const string Own = """
        global: {hub: registry.example}
        sidecarInjectorWebhook:
          templates:
            labels: |
              metadata:
                labels: {team: "{{ .Values.global.hub }}"}
                annotations: {of: "{{ .DeploymentMeta.Namespace }}/{{ .DeploymentMeta.Name }}"}
            files: |
              spec:
                containers:
                {{- range .Spec.Containers }}
                - name: {{ .Name }}
                  env: [{name: FILE, value: /data/f}]
                  volumeMounts: [{name: data, mountPath: /data}]
                {{- end }}
                volumes:
                - name: data
                  emptyDir: {}
            socket: |
              labels: {misplaced: "true"}
              spec:
                containers:
                - name: istio-proxy
                  volumeMounts: [{name: workload-socket, mountPath: /var/run/secrets/workload-spiffe-uds, readOnly: true}]
                volumes:
                - name: workload-socket
                  csi: {driver: csi.example, readOnly: true}
            text: "just words"
            broken: "{{ .Values.none.at.all }}"
        """;

    [Fact]
    public void A_template_can_do_without_the_proxy()
    {
        var pod = Inject("files")!;
        var container = Assert.Single(pod["spec"]!["containers"]!.AsArray())!;
        Assert.Equal(("web", "/data/f", "data"),
            (container["name"]!.ToString(), container["env"]![1]!["value"]!.ToString(), container["volumeMounts"]![0]!["name"]!.ToString()));
        Assert.Null(pod["spec"]!["initContainers"]);
        Assert.Equal("""{"initContainers":null,"containers":["web"],"volumes":["data"],"imagePullSecrets":null,"revision":"default"}""",
            Annotation(pod, "sidecar.istio.io/status"));
        Assert.Null(pod["metadata"]!["labels"]?["security.istio.io/tlsMode"]);
    }

    [Fact]
    public void Templates_of_a_Pod_apply_beside_the_proxys()
    {
        var pod = Inject("sidecar,labels, files")!;
        Assert.Equal(("registry.example", "trade/shop"), (pod["metadata"]!["labels"]!["team"]!.ToString(), Annotation(pod, "of")));
        Assert.Equal(["web", "istio-proxy"], pod["spec"]!["containers"]!.AsArray().Select(container => container!["name"]!.ToString()));
        Assert.Contains("istio-init", Annotation(pod, "sidecar.istio.io/status"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sidecar,socket", "containers", false)]
    [InlineData("sidecar,socket", "initContainers", true)]
    [InlineData("gateway,socket", "containers", false)]
    public void A_template_changes_the_container_and_the_volumes_of_the_proxy(string templates, string list, bool native)
    {
        var warnings = new List<string>();
        var pod = Inject(templates, native ? "sidecar.istio.io/nativeSidecar: 'true'" : "", warnings)!;
        var proxy = pod["spec"]![list]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;
        Assert.Equal("true", proxy["volumeMounts"]!.AsArray().Single(mount => mount!["name"]!.ToString() == "workload-socket")!["readOnly"]!.ToString());
        Assert.Equal("registry.example/isthmus:latest", proxy["image"]!.ToString());
        Assert.Equal("csi.example",
            pod["spec"]!["volumes"]!.AsArray().Single(volume => volume!["name"]!.ToString() == "workload-socket")!["csi"]!["driver"]!.ToString());
        Assert.Contains(warnings, warning => warning.Contains("template socket: labels: has no effect", StringComparison.Ordinal));
        Assert.Null(Annotation(pod, "proxy.istio.io/overrides"));
    }

    [Fact]
    public void What_a_Pod_says_of_a_container_wins_over_a_template()
    {
        var pod = Inject("files", container: "env: [{name: FILE, value: mine}]")!;
        Assert.Equal("mine", pod["spec"]!["containers"]![0]!["env"]![0]!["value"]!.ToString());
    }

    [Fact]
    public void An_installation_chooses_the_templates_of_Pods_that_name_none()
    {
        var pod = Inject(null, more: "defaultTemplates: [sidecar, labels], injectedAnnotations: {also: this}")!;
        Assert.Equal(("registry.example", "this"), (pod["metadata"]!["labels"]!["team"]!.ToString(), Annotation(pod, "also")));
        Assert.Contains(pod["spec"]!["containers"]!.AsArray(), container => container!["name"]!.ToString() == "istio-proxy");
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("sidecar.istio.io/inject: 'true'", true)]
    public void A_selector_keeps_Pods_out_that_do_not_ask_for_a_proxy(string labels, bool injected) =>
        Assert.Equal(injected, Inject(null, labels: labels, more: "neverInjectSelector: [{}, {matchLabels: {app: shop}}]") is not null);

    [Theory]
    [InlineData("gone", "invalid value 'gone': no such template (templates: sidecar, gateway, labels, files, socket, text, broken)")]
    [InlineData("sidecar,text", "template text: makes")]
    [InlineData("broken", "template broken:1: there is no value that could have the field")]
    public void A_Pod_whose_template_cannot_apply_is_refused(string templates, string message) =>
        Assert.Contains(message, Assert.Throws<ProblemException>(() => Inject(templates)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("templates: {sidecar: x}", "values.sidecarInjectorWebhook.templates.sidecar: cannot replace the template of the proxy")]
    [InlineData("templates: {a: '{{ if }}'}", "values.sidecarInjectorWebhook.templates.a: template a:1: a value is missing")]
    [InlineData("templates: {a: {b: c}}", "values.sidecarInjectorWebhook.templates.a: '{\"b\":\"c\"}' is not a text")]
    [InlineData("defaultTemplates: [b]", "values.sidecarInjectorWebhook.defaultTemplates: template 'b' does not exist")]
    [InlineData("neverInjectSelector: {a: b}", "values.sidecarInjectorWebhook.neverInjectSelector: '{\"a\":\"b\"}' is not a list")]
    public void Values_that_cannot_be_used_are_refused_as_a_whole(string webhook, string message)
    {
        var values = (JsonObject)YamlText.Parse($"{{sidecarInjectorWebhook: {{ {webhook} }}}}", "values")!;
        Assert.Contains(message, Assert.Throws<ProblemException>(() => InjectorValues.Empty.WithValues(values)).Message, StringComparison.Ordinal);
    }

    private static JsonObject? Inject(string? templates, string annotations = "", List<string>? warnings = null,
        string container = "env: [{name: OTHER, value: x}]", string labels = "", string more = "")
    {
        var values = (JsonObject)YamlText.Parse(Own, "values")!;
        foreach (var (field, value) in (JsonObject)YamlText.Parse($"{{{more}}}", "more")!) values["sidecarInjectorWebhook"]![field] = value?.DeepClone();
        var pod = (JsonObject)YamlText.Parse($$"""
            metadata:
              labels: {app: shop, {{labels}} }
              annotations: { {{annotations}} }
            spec: {containers: [{name: web, image: i, {{container}} }] }
            """, "pod")!;
        if (templates is not null) pod["metadata"]!["annotations"]!["inject.istio.io/templates"] = templates;
        var natives = new NativeSidecars(NativeSidecarMode.Auto, []);
        return PodInjector.Inject(pod, "trade", InjectorValues.Empty.WithValues(values), InjectionPath.Default, natives, warnings,
            new("Deployment", "apps/v1", "shop"));
    }

    private static string? Annotation(JsonObject pod, string name) => pod["metadata"]?["annotations"]?[name]?.ToString();
}
