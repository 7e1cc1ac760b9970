using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>The key <c>config</c> of ConfigMap <c>istio-sidecar-injector</c>.</summary>
public sealed class InjectorConfigTests
{
    /// <summary><c>istioctl analyze</c> reads it without asking whether it is there, and ends with a panic where it is not.</summary>
    [Theory]
    [InlineData("", false)]
    [InlineData("sidecarInjectorWebhook.rewriteAppHTTPProbe=false", false)]
    [InlineData("sidecarInjectorWebhook.enableNamespacesByDefault=true", true)]
    public void The_values_say_whether_namespaces_are_injected_by_default(string set, bool expected)
    {
        var values = YamlText.Parse(Map(OperatorSpec.Build([], set.Length > 0 ? [$"values.{set}"] : [], null))["data"]!["values"]!.ToString(), "values")!;
        Assert.Equal(expected, (bool)values["sidecarInjectorWebhook"]!["enableNamespacesByDefault"]!);
    }

    [Theory]
    [InlineData("", "enabled")]
    [InlineData("values.sidecarInjectorWebhook.enableNamespacesByDefault=true", "enabled, plain")]
    [InlineData("values.sidecarInjectorWebhook.enableNamespacesByDefault=true revision=canary", "canary")]
    public void Namespaces_without_a_label_are_injected_if_the_installation_says_so(string set, string expected)
    {
        var webhooks = Manifests.Render(OperatorSpec.Build([], set.Split(' ', StringSplitOptions.RemoveEmptyEntries), null))
            .SelectMany(component => component.Objects)
            .Single(value => value["kind"]!.ToString() == "MutatingWebhookConfiguration");
        Namespace[] namespaces = [Named("plain"), Named("enabled", "istio-injection", "enabled"), Named("out", "istio-injection", "disabled"),
            Named("canary", "istio.io/rev", "canary"), Named("kube-system")];
        Assert.Equal(expected, string.Join(", ", InjectionList.Of([(webhooks, "")], namespaces, []).Namespaces.Select(ns => ns.Name)));

        static Namespace Named(string name, string label = "a", string value = "b") =>
            new() { Metadata = new() { Name = name, Labels = new(StringComparer.Ordinal) { ["kubernetes.io/metadata.name"] = name, [label] = value } } };
    }

    [Fact]
    public void Tools_that_make_Pods_from_the_templates_of_the_ConfigMap_fail_and_read_what_to_do()
    {
        var config = YamlText.Parse(Map(OperatorSpec.Build([], [], null))["data"]!["config"]!.ToString(), "config")!;
        foreach (var template in (string[])["sidecar", "gateway"])
        {
            var part = YamlText.Parse(config["templates"]![template]!.ToString(), template)!;
            Assert.Equal(
                $"the template {template} is built into Isthmus, use the webhook or isthmus kube-inject, and add templates of your own to "
                    + $"values.sidecarInjectorWebhook.templates",
                part["spec"]!.ToString());
        }
    }

    private static System.Text.Json.Nodes.JsonObject Map(OperatorSpec spec) => Manifests.Render(spec).SelectMany(component => component.Objects)
        .Single(value => (value["kind"]!.ToString(), value["metadata"]!["name"]!.ToString()) == ("ConfigMap", "istio-sidecar-injector"));
}
