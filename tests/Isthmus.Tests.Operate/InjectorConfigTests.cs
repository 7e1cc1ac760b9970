using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate;

/// <summary>The key <c>config</c> of ConfigMap <c>istio-sidecar-injector</c>.</summary>
public sealed class InjectorConfigTests
{
    /// <summary><c>istioctl analyze</c> reads it without asking whether it is there, and ends with a panic where it is not.</summary>
    [Theory]
    [InlineData("", false)]
    [InlineData("sidecarInjectorWebhook.rewriteAppHTTPProbe=false", false)]
    public void The_values_say_that_namespaces_are_not_injected_by_default(string set, bool expected)
    {
        var values = YamlText.Parse(Map(OperatorSpec.Build([], set.Length > 0 ? [$"values.{set}"] : [], null))["data"]!["values"]!.ToString(), "values")!;
        Assert.Equal(expected, (bool)values["sidecarInjectorWebhook"]!["enableNamespacesByDefault"]!);
    }

    [Fact]
    public void Tools_that_make_Pods_from_the_templates_of_the_ConfigMap_fail_and_read_what_to_do()
    {
        var config = YamlText.Parse(Map(OperatorSpec.Build([], [], null))["data"]!["config"]!.ToString(), "config")!;
        foreach (var template in (string[])["sidecar", "gateway"])
        {
            var part = YamlText.Parse(config["templates"]![template]!.ToString(), template)!;
            Assert.Equal(
                $"the template {template} is built into Isthmus, use the webhook or isthmus kube-inject, and add templates of your own to values.sidecarInjectorWebhook.templates",
                part["spec"]!.ToString());
        }
    }

    private static System.Text.Json.Nodes.JsonObject Map(OperatorSpec spec) => Manifests.Render(spec).SelectMany(component => component.Objects)
        .Single(value => (value["kind"]!.ToString(), value["metadata"]!["name"]!.ToString()) == ("ConfigMap", "istio-sidecar-injector"));
}
