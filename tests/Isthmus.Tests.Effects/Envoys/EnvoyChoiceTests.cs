using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Core.Collections;
using Isthmus.Injection;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.MeshFile;
using Isthmus.Proxy.Agent;
using Xunit;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>The ways to choose Envoy: each reaches the agent of an injected Pod, and the nearer one wins.</summary>
public sealed class EnvoyChoiceTests
{
    [Theory]
    [InlineData("", "", "", "")]
    [InlineData("/mesh", "", "", "/mesh")]
    [InlineData("", "/kind", "", "/kind")]
    [InlineData("", "", "/pod", "/pod")]
    [InlineData("/mesh", "", "/pod", "/pod")]
    [InlineData("/mesh", "/kind", "", "/kind")]
    public void The_agent_gets_the_program(string mesh, string kind, string pod, string expected)
    {
        foreach (var template in (string[])["sidecar", "gateway"]) Assert.Equal(expected, Binary(template, mesh, kind, pod));
    }

    /// <summary>Of an IstioOperator or the mesh file's <c>install</c>: the program of the gateway that it installs, and of an injected sidecar.</summary>
    [Theory]
    [InlineData("meshConfig: {defaultConfig: {binaryPath: /all}}", "/all", "/all")]
    [InlineData("values: {meshConfig: {defaultConfig: {binaryPath: /all}}}", "/all", "/all")]
    [InlineData("values: {gateways: {istio-ingressgateway: {podAnnotations: {proxy.istio.io/config: 'binaryPath: /one'}}}}", "/one", "")]
    [InlineData("components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, k8s: {podAnnotations: {proxy.istio.io/config: 'binaryPath: /one'}}"
        + "}]}", "/one", "")]
    [InlineData("components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, k8s: {env: [{name: PROXY_BINARY_PATH, value: /one}]}}]}",
        "/one", "")]
    [InlineData("meshConfig: {defaultConfig: {binaryPath: /all}}, components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, "
        + "k8s: {podAnnotations: {proxy.istio.io/config: 'binaryPath: /one'}}}]}", "/one", "/all")]
    public void An_installation_says_the_program(string spec, string gateway, string sidecar)
    {
        var mesh = MeshReader.Read("apiVersion: mesh.isthmus.internal/v1alpha1\nkind: Mesh\nmetadata: {name: a}\n"
            + $"spec:\n  install: {{profile: default, {spec}}}\n  clusters: [{{name: c1}}]\n", "mesh.yaml", "");
        var design = new MeshDesign(mesh);
        var document = $"apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {{profile: default, {spec}}}\n";
        foreach (var built in (OperatorSpec[])[design.Installation(mesh.Clusters[0], ""), OperatorSpec.Build([("file", document)], [], null)])
        {
            List<JsonObject> objects = [.. Manifests.Render(built).SelectMany(component => component.Objects)];
            JsonObject Named(string kind, string name) =>
                objects.Single(value => value["kind"]!.ToString() == kind && value["metadata"]!["name"]!.ToString() == name);
            var map = Named("ConfigMap", "istio-sidecar-injector");
            var values = InjectorValues.Empty.WithValues((JsonObject)JsonNode.Parse(map["data"]!["values"]!.ToString())!).WithMesh(built.MeshConfig);
            var template = Named("Deployment", "istio-ingressgateway")["spec"]!["template"]!;
            Assert.Equal(gateway,
                Binary(new JsonObject { ["metadata"] = template["metadata"]!.DeepClone(), ["spec"] = template["spec"]!.DeepClone() }, "router", values));
            Assert.Equal(sidecar, Binary(Pod("sidecar", ""), "sidecar", values));
        }
    }

    private static JsonObject Pod(string template, string own)
    {
        var annotations = new JsonObject { ["inject.istio.io/templates"] = template };
        if (own.Length > 0) annotations["proxy.istio.io/config"] = $"binaryPath: {own}";
        return new()
        {
            ["metadata"] = new JsonObject { ["name"] = "web-1", ["annotations"] = annotations },
            ["spec"] = new JsonObject { ["containers"] = new JsonArray(new JsonObject { ["name"] = "istio-proxy", ["image"] = "auto" }) },
        };
    }

    private static string Binary(string template, string mesh, string kind, string own)
    {
        var values = InjectorValues.Empty;
        if (mesh.Length > 0) values = values.WithMesh(new JsonObject { ["defaultConfig"] = new JsonObject { ["binaryPath"] = mesh } });
        if (kind.Length > 0)
        {
            var variables = new Dictionary<string, string> { ["PROXY_BINARY_PATH"] = kind }.ToValueMap();
            values = values.With([new ProxyConfig(new("c1", "ProxyConfig", "shop", "envoy"), new([]), null, variables, 0)]);
        }
        return Binary(Pod(template, own), template == "gateway" ? "router" : "sidecar", values);
    }

    private static string Binary(JsonObject pod, string role, InjectorValues values)
    {
        var natives = new NativeSidecars(NativeSidecarMode.Disabled, new Dictionary<string, string>().ToValueMap());
        var injected = PodInjector.Inject(pod, "shop", values, InjectionPath.Parse("/inject"), natives)!;
        var proxy = injected["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;
        var environment = proxy["env"]!.AsArray()
            .ToDictionary(variable => variable!["name"]!.ToString(), variable => variable!["value"]?.ToString() ?? "192.0.2.1");
        return AgentSettings.Read(role, "", environment).BinaryPath;
    }
}
