using System.Text.Json.Nodes;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>What spans say of a workload by the conventions of OpenTelemetry.</summary>
public sealed class SpanResourcesTests
{
    private const string Asked =
        "extensionProviders: [{name: a, zipkin: {}}, {name: b, opentelemetry: {serviceAttributeEnrichment: OTEL_SEMANTIC_CONVENTIONS}}]";
    private const string Web = "{name: web, image: 'registry:5000/web:1.2@sha256:ab'}";

    [Theory]
    [InlineData("", Web, "service.name=shop,service.namespace=trade,service.version=1.2%40sha256%3Aab,service.instance.id=trade.$(POD_NAME).web")]
    [InlineData("", "{name: web, image: 'registry:5000/web'}", "service.name=shop,service.namespace=trade,service.instance.id=trade.$(POD_NAME).web")]
    [InlineData("", "{name: web, image: 'web@sha256:ab'}",
        "service.name=shop,service.namespace=trade,service.version=sha256%3Aab,service.instance.id=trade.$(POD_NAME).web")]
    [InlineData("", Web + ", {name: other, image: 'x:2'}", "service.name=shop,service.namespace=trade,service.instance.id=trade.$(POD_NAME).web")]
    [InlineData("labels: {app.kubernetes.io/name: orders, app.kubernetes.io/version: v}", Web,
        "service.name=orders,service.namespace=trade,service.version=v,service.instance.id=trade.$(POD_NAME).web")]
    [InlineData("labels: {app.kubernetes.io/name: orders, app.kubernetes.io/instance: i}", "{name: web, image: web}",
        "service.name=i,service.namespace=trade,service.instance.id=trade.$(POD_NAME).web")]
    [InlineData(
        "annotations: {resource.opentelemetry.io/service.name: 'a,b=c', resource.opentelemetry.io/service.namespace: d, "
            + "resource.opentelemetry.io/service.version: '3', resource.opentelemetry.io/service.instance.id: '$(X)'}",
        Web, "service.name=a%2Cb%3Dc,service.namespace=d,service.version=3,service.instance.id=%24%28X%29")]
    public void Attributes_follow_from_annotations_labels_and_containers(string metadata, string containers, string expected) =>
        Assert.Equal(expected, Inject(Asked, metadata, containers));

    [Theory]
    [InlineData("{}", "")]
    [InlineData("extensionProviders: [{name: b, opentelemetry: {serviceAttributeEnrichment: ISTIO_CANONICAL}}]", "")]
    [InlineData(Asked + "\ndefaultConfig: {proxyMetadata: {OTEL_RESOURCE_ATTRIBUTES: own=1}}", "own=1")]
    public void Nothing_is_added_where_nobody_asks_or_the_proxy_has_attributes_already(string mesh, string expected) =>
        Assert.Equal(expected, Inject(mesh, "", Web));

    private static string Inject(string mesh, string metadata, string containers)
    {
        var pod = (JsonObject)YamlText.Parse($"metadata: {{{metadata}}}\nspec: {{containers: [{containers}]}}", "pod")!;
        var values = InjectorValues.Empty.WithMesh((JsonObject)YamlText.Parse(mesh, "mesh")!);
        var injected = PodInjector.Inject(pod, "trade", values, InjectionPath.Default, NativeSidecars.Off, null, new("Deployment", "apps/v1", "shop"))!;
        var proxy = injected["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;
        return string.Join(' ',
            proxy["env"]!.AsArray().Where(variable => variable!["name"]!.ToString() == "OTEL_RESOURCE_ATTRIBUTES")
                .Select(variable => variable!["value"]!.ToString()));
    }
}
