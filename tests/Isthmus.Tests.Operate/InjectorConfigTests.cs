using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate;

/// <summary>The key <c>config</c> of ConfigMap <c>istio-sidecar-injector</c>.</summary>
public sealed class InjectorConfigTests
{
    [Fact]
    public void Tools_that_make_Pods_from_the_templates_of_the_ConfigMap_fail_and_read_what_to_do()
    {
        var objects = Manifests.Render(OperatorSpec.Build([], [], null)).SelectMany(component => component.Objects);
        var map = objects.Single(value => (value["kind"]!.ToString(), value["metadata"]!["name"]!.ToString()) == ("ConfigMap", "istio-sidecar-injector"));
        var config = YamlText.Parse(map["data"]!["config"]!.ToString(), "config")!;
        foreach (var template in (string[])["sidecar", "gateway"])
        {
            var part = YamlText.Parse(config["templates"]![template]!.ToString(), template)!;
            Assert.Equal(
                $"the template {template} is built into Isthmus, use the webhook or isthmus kube-inject, and add templates of your own to values.sidecarInjectorWebhook.templates",
                part["spec"]!.ToString());
        }
    }
}
