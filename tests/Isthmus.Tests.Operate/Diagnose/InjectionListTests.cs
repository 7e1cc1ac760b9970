using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class InjectionListTests
{
    [Fact]
    public void Namespaces_have_the_revision_whose_webhook_selects_them_and_the_revisions_that_their_Pods_run()
    {
        var list = InjectionList.Of(
            [
                (Hook("plain", "default",
                    """
                    [{"namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}},
                      "objectSelector": {"matchExpressions": [{"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}]}}]
                    """),
                    "hub/proxy:1"),
                (Hook("canary", "next",
                    """[{"namespaceSelector": {"matchLabels": {"istio.io/rev": "next"}}}, {"namespaceSelector": {}, "objectSelector": {"matchLabels": {"istio.io/rev": "next"}}}]"""),
                    ""),
            ],
            [Namespace("shop", ("istio-injection", "enabled")), Namespace("trial", ("istio.io/rev", "next")), Namespace("batch"), Namespace("left")],
            [
                Pod("shop", "default"), Pod("shop", "default"), Pod("shop", "old"), Pod("shop", null), Pod("shop", "default", phase: "Succeeded"),
                Pod("batch", null), Pod("left", "default"), Pod("left", ""),
            ]);
        Assert.Equal(
            ["left  <unknown>=1 default=1", "shop default =1 default=2 old=1", "trial next "],
            list.Namespaces.Select(ns => $"{ns.Name} {ns.Revision} {string.Join(' ', ns.Pods.Select(pods => $"{pods.Key}={pods.Value}"))}"));
        Assert.Equal(["canary next trial ", "plain default shop hub/proxy:1"],
            list.Hooks.Select(hook => $"{hook.Name} {hook.Revision} {string.Join(',', hook.Namespaces)} {hook.Image}"));
    }

    private static JsonObject Hook(string name, string revision, string webhooks) =>
        new()
        {
            ["metadata"] = new JsonObject { ["name"] = name, ["labels"] = new JsonObject { ["istio.io/rev"] = revision } },
            ["webhooks"] = JsonNode.Parse(webhooks)
        };

    private static Namespace Namespace(string name, params (string Key, string Value)[] labels) =>
        new() { Metadata = new() { Name = name, Labels = labels.ToDictionary(label => label.Key, label => label.Value) } };

    private static Pod Pod(string ns, string? revision, string phase = "Running") => new()
    {
        Metadata = new()
        {
            Name = "p", Namespace = ns, Annotations = revision is null ? [] : new() { ["sidecar.istio.io/status"] = $$"""{"revision": "{{revision}}"}""" }
        },
        Status = new() { Phase = phase },
    };
}
