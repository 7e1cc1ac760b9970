using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.Libraries.Admission;

/// <summary>Labels select by their text: what looks like a pattern selects nothing, and nobody should learn that from an attack.</summary>
public sealed class MatchedLabelsTests
{
    [Theory]
    [InlineData("PeerAuthentication", "{selector: {matchLabels: {app: ^web$}}, mtls: {mode: STRICT}}", "spec.selector.matchLabels[app]")]
    [InlineData("AuthorizationPolicy", "{selector: {matchLabels: {app: web|api}}, rules: [{}]}", "spec.selector.matchLabels[app]")]
    [InlineData("RequestAuthentication", "{selector: {matchLabels: {app: 'web.'}}}", "spec.selector.matchLabels[app]")]
    [InlineData("Telemetry", "{selector: {matchLabels: {'a pp': web}}}", "spec.selector.matchLabels[a pp]")]
    [InlineData("WasmPlugin", "{selector: {matchLabels: {app: '[a-z]'}}, url: oci://example.com/a}", "spec.selector.matchLabels[app]")]
    [InlineData("Sidecar", "{workloadSelector: {labels: {app: web?}}, egress: [{hosts: ['*/*']}]}", "spec.workloadSelector.labels[app]")]
    [InlineData("EnvoyFilter", "{workloadSelector: {labels: {app: (web)}}, configPatches: []}", "spec.workloadSelector.labels[app]")]
    [InlineData("ProxyConfig", "{selector: {matchLabels: {app: we+b}}, concurrency: 1}", "spec.selector.matchLabels[app]")]
    [InlineData("Gateway", "{selector: {istio: (a|b)}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example]}]}",
        "spec.selector[istio]")]
    [InlineData("ServiceEntry",
        "{hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, workloadSelector: {labels: {app: '[a]'}}}",
        "spec.workloadSelector.labels[app]")]
    [InlineData("DestinationRule", "{host: a, workloadSelector: {matchLabels: {app: web/api}}}", "spec.workloadSelector.matchLabels[app]")]
    public void A_label_that_no_workload_can_have_is_warned_of(string kind, string spec, string path)
    {
        var warning = Assert.Single(Validation.Check(Object(kind, spec)), problem => problem.Path == path);
        Assert.Equal(Severity.Warning, warning.Severity);
        Assert.Contains("no workload can have the label", warning.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http: [{match: [{sourceLabels: {app: c.*}}], route: [{destination: {host: a}}]}]", "spec.http[0].match[0].sourceLabels[app]")]
    [InlineData("tcp: [{match: [{sourceLabels: {app: ^c}}], route: [{destination: {host: a}}]}]", "spec.tcp[0].match[0].sourceLabels[app]")]
    [InlineData("tls: [{match: [{sniHosts: [a], sourceLabels: {'!': c}}], route: [{destination: {host: a}}]}]", "spec.tls[0].match[0].sourceLabels[!]")]
    public void As_in_Istio_routes_for_callers_that_cannot_exist_are_refused(string routes, string path) =>
        Assert.Equal(path, Assert.Single(Validation.Check(Object("VirtualService", $"{{hosts: [a], {routes}}}")), found =>
            found.Severity == Severity.Error).Path);

    [Theory]
    [InlineData("istio.io/connect-strategy", "FOO", true)]
    [InlineData("istio.io/connect-strategy", "race_first_tcp_connect", false)]
    [InlineData("istio.io/connect-strategy", "DEFAULT", false)]
    [InlineData("networking.istio.io/traffic-distribution", "Nearby", true)]
    [InlineData("networking.istio.io/traffic-distribution", "PreferClose", false)]
    [InlineData("networking.istio.io/traffic-distribution", "Any", false)]
    public void An_annotation_with_a_value_of_no_meaning_is_warned_of(string name, string value, bool isWarned)
    {
        var entry = Object("ServiceEntry", "{hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}");
        entry["metadata"]!["annotations"] = new JsonObject { [name] = value };
        Assert.Equal(isWarned, Validation.Check(entry).Any(problem => problem.Path == $"metadata.annotations[{name}]" && problem.Severity == Severity.Warning));
    }

    private static JsonObject Object(string kind, string spec)
    {
        var known = MeshApi.Istio.First(known => known.Kind == kind);
        var text = $"{{apiVersion: {known.Group}/{known.StoredVersion}, kind: {kind}, metadata: {{name: x, namespace: shop}}, spec: {spec}}}";
        return (JsonObject)YamlText.Parse(text, "test")!;
    }
}
