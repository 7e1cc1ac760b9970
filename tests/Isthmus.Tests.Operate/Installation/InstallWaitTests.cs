using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>What an installation says while it waits for Pods and addresses.</summary>
public sealed class InstallWaitTests
{
    private const string System = "istio-system";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_image_that_cannot_be_pulled_ends_the_wait()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, Json("""{"metadata": {"name": "istio-system"}}"""), Stop);
        await client.CreateAsync(Kinds.ServiceAccount, Json("""{"metadata": {"name": "default", "namespace": "istio-system"}}"""), Stop);
        var deployment = await client.CreateAsync(Kinds.Deployment, Json("""
            {"metadata": {"name": "istiod", "namespace": "istio-system", "annotations": {"deployment.kubernetes.io/revision": "2"}},
              "spec": {"selector": {"matchLabels": {"app": "istiod"}},
             "template": {"metadata": {"labels": {"app": "istiod"}},
               "spec": {"containers": [{"name": "discovery", "image": "registry.example.com/isthmus:2"}]}}}}
            """), Stop);
        var uid = deployment["metadata"]!["uid"]!.ToString();
        // The Pod of the earlier template waits for another image: that is what this installation mends.
        await PodAsync(client, uid, 1, "old");
        var applier = new Applier(client, TimeProvider.System);
        var waiting = applier.ReadyAsync([deployment], TimeSpan.FromMinutes(1), Stop);
        await PodAsync(client, uid, 2, "new");
        var refused = await Assert.ThrowsAsync<ProblemException>(() => waiting);
        Assert.Contains(
            "cannot have the image registry.example.com/isthmus:2: Pod istiod-new, container discovery: ImagePullBackOff Back-off pulling image (push the "
                + "image, or load it on each node",
            refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_gateway_without_an_address_is_noted()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, Json("""{"metadata": {"name": "istio-system"}}"""), Stop);
        var components = Manifests.Render(OperatorSpec.Build([],
            ["profile=empty", "components.ingressGateways[0].name=istio-ingressgateway", "components.ingressGateways[0].enabled=true"], null));
        await client.CreateAsync(Kinds.Service, components[0].Objects.Single(value => value["kind"]!.ToString() == "Service"), Stop);
        var heard = new Heard();
        await new Installer(client, TimeProvider.System, heard).NoteAddressesAsync(components, Stop);
        Assert.StartsWith("Service istio-system/istio-ingressgateway has no address yet.", Assert.Single(heard.Notes));
        await client.PatchAsync(Kinds.Service, System, "istio-ingressgateway",
            Json("""{"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}}"""), Isthmus.Kubernetes.Client.PatchType.Merge, Stop, "status");
        heard.Notes.Clear();
        await new Installer(client, TimeProvider.System, heard).NoteAddressesAsync(components, Stop);
        Assert.Empty(heard.Notes);
    }

    private static async Task PodAsync(Isthmus.Kubernetes.Client.KubeClient client, string deployment, int revision, string hash)
    {
        var template = new JsonObject
        {
            ["metadata"] = new JsonObject { ["labels"] = new JsonObject { ["app"] = "istiod", ["pod-template-hash"] = hash } },
            ["spec"] = Json("""{"containers": [{"name": "discovery", "image": "registry.example.com/isthmus:2"}]}"""),
        };
        await client.CreateAsync(Kinds.ReplicaSet, new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["name"] = $"istiod-{hash}", ["namespace"] = System, ["labels"] = template["metadata"]!["labels"]!.DeepClone(),
                ["annotations"] = new JsonObject
                {
                    ["deployment.kubernetes.io/revision"] = revision.ToString(CultureInfo.InvariantCulture)
                },
                ["ownerReferences"] = new JsonArray(new JsonObject
                {
                    ["apiVersion"] = "apps/v1", ["kind"] = "Deployment", ["name"] = "istiod", ["uid"] = deployment, ["controller"] = true
                }),
            },
            ["spec"] = new JsonObject
            {
                ["selector"] = new JsonObject { ["matchLabels"] = template["metadata"]!["labels"]!.DeepClone() }, ["template"] = template.DeepClone()
            },
        }, Stop);
        template["metadata"]!["name"] = $"istiod-{hash}";
        template["metadata"]!["namespace"] = System;
        await client.CreateAsync(Kinds.Pod, template, Stop);
        await client.PatchAsync(Kinds.Pod, System, $"istiod-{hash}", Json("""
            {"status": {"phase": "Pending",
              "containerStatuses": [{"name": "discovery", "image": "registry.example.com/isthmus:2", "imageID": "", "ready": false, "restartCount": 0,
             "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}]}}
            """), Isthmus.Kubernetes.Client.PatchType.Merge, Stop, "status");
    }

    private static JsonObject Json(string text) => JsonNode.Parse(text)!.AsObject();

    private sealed class Heard : IInstallProgress
    {
        internal List<string> Notes { get; } = [];

        public void Started(string component)
        {
        }

        public void Finished(string component, TimeSpan took)
        {
        }

        public void Note(string text) => Notes.Add(text);
    }
}
