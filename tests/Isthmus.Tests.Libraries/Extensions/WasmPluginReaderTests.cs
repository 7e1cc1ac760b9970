using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.Libraries.Extensions;

/// <summary>What admission says of WasmPlugins.</summary>
public sealed class WasmPluginReaderTests
{
    [Theory]
    [InlineData("url: a.example/b\nvmConfig: {env: [{name: ISTIO_META_WASM_IMAGE_PULL_SECRET, value: x}]}", "spec.vmConfig.env[0].name",
        "begins with ISTIO_META_: such variables are for agents, and no module gets them")]
    [InlineData("pluginName: a", "spec.url", "must be set")]
    [InlineData("url: a.example/b\npluginConfig: [1]", "spec.pluginConfig", "must be an object")]
    [InlineData("url: a.example/b\ntargetRefs: [{kind: Gateway, name: g}]", "spec.targetRefs[0].group", "\"\" has no kind Gateway that can be a target")]
    public void What_a_WasmPlugin_cannot_have_is_refused(string spec, string path, string message)
    {
        var problem = Assert.Single(Validation.Check(Object(spec)), problem => problem.Severity == Severity.Error);
        Assert.Equal((path, message), (problem.Path, problem.Message));
    }

    [Fact]
    public void A_WasmPlugin_says_which_Pods_run_it()
    {
        var problem = Assert.Single(Validation.Check(Object("url: a.example/b")));
        Assert.Equal(("kind", "proxies of Isthmus run no Wasm: the plugin applies only to Pods whose proxy is Envoy", Severity.Warning),
            (problem.Path, problem.Message, problem.Severity));
    }

    private static JsonObject Object(string spec) => new()
    {
        ["apiVersion"] = "extensions.istio.io/v1alpha1", ["kind"] = "WasmPlugin", ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = "shop" },
        ["spec"] = YamlText.Parse(spec, "spec"),
    };
}
