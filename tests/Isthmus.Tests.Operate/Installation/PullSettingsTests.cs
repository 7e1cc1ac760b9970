using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>Where images come from, and with whose credentials.</summary>
public sealed class PullSettingsTests
{
    [Fact]
    public void Every_account_and_container_of_an_installation_gets_the_settings()
    {
        var objects = Render("hub=registry.example.com", "tag=1.0", "values.global.imagePullPolicy=IfNotPresent", "values.global.imagePullSecrets[0]=regcred");
        foreach (var account in (string[])["istiod", "istio-ingressgateway-service-account"])
            Assert.Equal("""[{"name":"regcred"}]""", Find(objects, "ServiceAccount", account)["imagePullSecrets"]!.ToJsonString());
        var istiod = Container(objects, "istiod");
        Assert.Equal(("registry.example.com/isthmus:1.0", "IfNotPresent"), (istiod["image"]!.ToString(), istiod["imagePullPolicy"]!.ToString()));
        var values = JsonNode.Parse(Find(objects, "ConfigMap", "istio-sidecar-injector")["data"]!["values"]!.ToString())!["global"]!;
        Assert.Equal(("registry.example.com", "1.0", "IfNotPresent", """["regcred"]"""),
            (values["hub"]!.ToString(), values["tag"]!.ToString(), values["imagePullPolicy"]!.ToString(), values["imagePullSecrets"]!.ToJsonString()));
    }

    [Fact]
    public void A_gateway_can_have_a_policy_of_its_own()
    {
        var objects = Render("components.ingressGateways[0].name=istio-ingressgateway", "components.ingressGateways[0].enabled=true",
            "components.ingressGateways[0].k8s.imagePullPolicy=Always");
        Assert.Equal("Always",
            Find(objects, "Deployment",
                "istio-ingressgateway")["spec"]!["template"]!["metadata"]!["annotations"]!["isthmus.internal/image-pull-policy"]!.ToString());
    }

    [Fact]
    public void Secrets_that_are_no_list_of_names_are_refused()
    {
        var refused = Assert.Throws<ProblemException>(() => OperatorSpec.Build([], ["values.global.imagePullSecrets=regcred"], null));
        Assert.Contains("values.global.imagePullSecrets", refused.Message, StringComparison.Ordinal);
    }

    private static List<JsonObject> Render(params string[] sets) =>
        [.. Manifests.Render(OperatorSpec.Build([], sets, null)).SelectMany(component => component.Objects)];

    private static JsonNode Container(List<JsonObject> objects, string deployment) =>
        Find(objects, "Deployment", deployment)["spec"]!["template"]!["spec"]!["containers"]![0]!;

    private static JsonObject Find(List<JsonObject> objects, string kind, string name) =>
        objects.Single(value => value["kind"]!.ToString() == kind && value["metadata"]!["name"]!.ToString() == name);
}
