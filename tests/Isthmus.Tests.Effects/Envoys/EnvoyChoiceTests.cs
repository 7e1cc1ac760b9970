using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Injection;
using Isthmus.ControlPlane.Settings;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
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

    private static string Binary(string template, string mesh, string kind, string own)
    {
        var annotations = new JsonObject { ["inject.istio.io/templates"] = template };
        if (own.Length > 0) annotations["proxy.istio.io/config"] = $"binaryPath: {own}";
        var pod = new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = "web-1", ["annotations"] = annotations },
            ["spec"] = new JsonObject { ["containers"] = new JsonArray(new JsonObject { ["name"] = "istio-proxy", ["image"] = "auto" }) },
        };
        var values = InjectorValues.Empty;
        if (mesh.Length > 0) values = values.WithMesh(new JsonObject { ["defaultConfig"] = new JsonObject { ["binaryPath"] = mesh } });
        if (kind.Length > 0)
        {
            var variables = new Dictionary<string, string> { ["PROXY_BINARY_PATH"] = kind }.ToValueMap();
            values = values.With([new ProxyConfig(new("c1", "ProxyConfig", "shop", "envoy"), new([]), null, variables, 0)]);
        }
        var natives = new NativeSidecars(NativeSidecarMode.Disabled, new Dictionary<string, string>().ToValueMap());
        var injected = PodInjector.Inject(pod, "shop", values, InjectionPath.Parse("/inject"), natives)!;
        var proxy = injected["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;
        var environment = proxy["env"]!.AsArray()
            .ToDictionary(variable => variable!["name"]!.ToString(), variable => variable!["value"]?.ToString() ?? "192.0.2.1");
        return AgentSettings.Read(template == "gateway" ? "router" : "sidecar", "", environment).BinaryPath;
    }
}
