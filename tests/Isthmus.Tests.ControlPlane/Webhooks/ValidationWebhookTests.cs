using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Core.Net;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Webhooks;

/// <summary>What the validation webhook answers.</summary>
public sealed class ValidationWebhookTests
{
    private const string Wrong =
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web, namespace: shop}, spec: {hosts: [web], tcp: [{match: [{sourceSubnet: "
            + "10.0.0.0/8}], route: [{destination: {host: web}}]}]}}";

    private const string Custom =
        "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: web, namespace: shop}, spec: {action: CUSTOM, provider: {name: door}, "
            + "rules: [{}]}}";

    private const string Log =
        "{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: web, namespace: shop}, spec: {accessLogging: [{providers: [{name: door}]}], "
            + "metrics: [{providers: [{name: door}]}], tracing: [{providers: [{name: door}]}]}}";

    [Fact]
    public void An_update_that_keeps_what_is_wrong_is_warned_of_and_one_that_adds_to_it_is_refused()
    {
        Assert.Contains("spec.tcp[0].match[0].sourceSubnet", Ask("CREATE", Wrong).Message);

        var labelled = Object(Wrong);
        labelled["metadata"]!["labels"] = new JsonObject { ["team"] = "a" };
        var kept = Validate(new("1", "shop", "UPDATE", labelled, Object(Wrong)));
        Assert.True(kept.Allowed, kept.Message);
        Assert.StartsWith("the stored object is invalid, and remains so: spec.tcp[0].match[0].sourceSubnet: ", Assert.Single(kept.Warnings!),
            StringComparison.Ordinal);

        var worse = Object(Wrong);
        worse["spec"]!["exportTo"] = new JsonArray(" ");
        var refused = Validate(new("1", "shop", "UPDATE", worse, Object(Wrong)));
        Assert.False(refused.Allowed);
        Assert.Contains("exportTo", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("sourceSubnet", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Custom,
        "spec.provider.name: Referenced provider not found: \"door\" is not an external authorizer in extensionProviders of MeshConfig: requests that match "
            + "are denied (add the provider to extensionProviders in MeshConfig, or correct the name)")]
    [InlineData(Log, "spec.tracing[0].providers[0].name: Referenced provider not found: \"door\" is not a collector of traces in",
        "spec.accessLogging[0].providers[0].name: Referenced provider not found: \"door\" is not an access log in",
        "spec.metrics[0].providers[0].name: Referenced provider not found: \"door\" is not Prometheus in")]
    public void A_provider_that_MeshConfig_does_not_have_is_named(string text, params string[] warnings)
    {
        var answer = Ask("CREATE", text);
        Assert.True(answer.Allowed);
        Assert.Equal(warnings.Length, answer.Warnings!.Count);
        Assert.All(answer.Warnings.Zip(warnings), pair => Assert.StartsWith(pair.Second, pair.First, StringComparison.Ordinal));
    }

    [Fact]
    public void A_provider_that_MeshConfig_has_is_not()
    {
        var mesh = MeshConfigReader.ReadMesh(
            YamlText.Parse("extensionProviders: [{name: door, envoyExtAuthzGrpc: {service: door.shop.svc.cluster.local, port: 9000}}]",
            "mesh")).Config;
        Assert.Empty(Validate(new("1", "shop", "CREATE", Object(Custom), null), mesh).Warnings!);
    }

    [Fact]
    public void Connected_proxies_that_get_nothing_of_a_plugin_are_named()
    {
        ProxyIdentity Proxy(string name, string ns, string app, bool runs) => new(
            ProxyKind.Sidecar, name, ns, $"{ns}.svc.cluster.local", "c1", "", default, [Address.Parse("10.0.0.1")], new([KeyValuePair.Create("app", app)]),
                "", "", "", "", false, false, "", "", Locality.Unknown)
        {
            Software = new ProxySoftware(runs, true, IstioFilters.None) { RunsWasm = runs },
        };
        ProxyIdentity[] proxies = [Proxy("web-1", "shop", "web", false), Proxy("web-2", "shop", "web", true), Proxy("other-1", "shop", "other", false),
            Proxy("web-1", "elsewhere", "web", false)];
        var plugin =
            "{apiVersion: extensions.istio.io/v1alpha1, kind: WasmPlugin, metadata: {name: a, namespace: shop}, spec: {url: 'oci://a.example/b', selector: "
                + "{matchLabels: {app: web}}}}";
        var endpoints = new WebhookEndpoints(() => InjectorValues.Empty, _ => new(default, default), () => [],
            new(new(), null, _ => null, new(), TimeProvider.System, NullLogger<ReviewCallers>.Instance),
            NullLogger<WebhookEndpoints>.Instance) { Proxies = () => proxies };
        var warnings = endpoints.Validate(new("1", "shop", "CREATE", Object(plugin), null)).Warnings!;
        Assert.Contains("spec: 1 Pod gets nothing of it, because the proxy is not such an Envoy: web-1.shop (set binaryPath for them, or select others)",
            warnings);
    }

    /// <summary>Nobody would see otherwise why a rule has no effect: the object is stored, and is right.</summary>
    [Theory]
    [InlineData("*.istio.io", "", 1)]
    [InlineData("sidecars.networking.istio.io", "", 0)]
    [InlineData("*.istio.io", "destinationrules.networking.istio.io", 0)]
    public void A_kind_that_the_control_plane_does_not_read_is_named(string ignored, string included, int warned)
    {
        var unread = DiscoverySettings.Read([],
            name => name switch { "PILOT_IGNORE_RESOURCES" => ignored, "PILOT_INCLUDE_RESOURCES" => included, _ => null }).Ignored;
        var endpoints = new WebhookEndpoints(() => InjectorValues.Empty, _ => new(default, default), () => [],
            new(new(), null, _ => null, new(), TimeProvider.System, NullLogger<ReviewCallers>.Instance),
            NullLogger<WebhookEndpoints>.Instance) { Unread = unread };
        var rule = Object("{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: a, namespace: shop}, spec: {host: a}}");
        Assert.Equal(warned, endpoints.Validate(new("1", "shop", "CREATE", rule, null)).Warnings!.Count(text =>
            text.StartsWith("this control plane reads no objects of the kind DestinationRule (PILOT_IGNORE_RESOURCES): it has no effect here",
                StringComparison.Ordinal)));
    }

    private static AdmissionAnswer Ask(string operation, string text) => Validate(new("1", "shop", operation, Object(text), null));

    private static AdmissionAnswer Validate(AdmissionQuestion question, MeshConfig? mesh = null) =>
        new WebhookEndpoints(() => InjectorValues.Empty, _ => new(default, default), () => [],
            new(new(), null, _ => null, new(), TimeProvider.System, NullLogger<ReviewCallers>.Instance),
            NullLogger<WebhookEndpoints>.Instance) { Mesh = () => mesh ?? MeshConfig.Default }.Validate(question);

    private static JsonObject Object(string text) => (JsonObject)YamlText.Parse(text, "test")!;
}
