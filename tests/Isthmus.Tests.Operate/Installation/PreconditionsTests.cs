using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>What a cluster lacks is reported before anything is changed.</summary>
public sealed class PreconditionsTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("""{"major":"1","minor":"20","gitVersion":"v1.20.15"}""",
        "has Kubernetes v1.20.15; the oldest supported version is 1.21, because discovery.k8s.io/v1 is needed (upgrade the cluster)")]
    [InlineData("""{"major":"1","minor":"22+","gitVersion":"v1.22.1-eks"}""",
        "has Kubernetes v1.22.1-eks, which has no autoscaling/v2 for HorizontalPodAutoscaler istio-system/istiod (upgrade to 1.23 or later, or set the number "
            + "of replicas instead)",
        "values.pilot.autoscaleEnabled=true")]
    public async Task A_server_that_is_too_old_is_refused(string version, string message, params string[] flags) =>
        Assert.Contains(message, await RefusedAsync(new() { ["/version"] = (200, version) }, flags), StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"major":"1","minor":"21","gitVersion":"v1.21.0"}""")]
    [InlineData("""{"major":"1","minor":"34+","gitVersion":"v1.34.1-gke"}""")]
    [InlineData("not JSON")]
    public async Task A_server_that_is_supported_or_does_not_say_is_accepted(string version) =>
        Assert.Equal("", await RefusedAsync(new() { ["/version"] = (200, version) }));

    [Fact]
    public async Task Missing_rights_are_named_all_at_once()
    {
        var message = await RefusedAsync(new() { ["denied"] = (200, "clusterroles mutatingwebhookconfigurations") });
        Assert.EndsWith(
            "you may not create and patch clusterroles, create and patch mutatingwebhookconfigurations (use a kubeconfig user with the rights of "
                + "cluster-admin)",
            message);
    }

    [Fact]
    public async Task An_image_that_no_node_has_and_no_registry_serves_is_refused()
    {
        var other = Nodes("docker.io/library/nginx:1", "isthmus.internal/isthmus:0.0.9");
        Assert.EndsWith(
            $"no node has the image isthmus.internal/isthmus:{BuildVersion.Current}, and no registry serves isthmus.internal; nodes have "
                + $"isthmus.internal/isthmus:0.0.9 (set tag, or load the image on each node with 'isthmus image load')",
            await RefusedAsync(other));
        Assert.Contains("or push it with 'isthmus image push' and set hub and tag", await RefusedAsync(Nodes("docker.io/library/nginx:1")),
            StringComparison.Ordinal);
        Assert.Equal("", await RefusedAsync(other, "tag=0.0.9"));
        Assert.Equal("", await RefusedAsync(other, "hub=registry.example.com"));
        // The lab's nodes name no tags; a node that names no images, or as many as fit, may have it.
        Assert.Equal("", await RefusedAsync(Nodes("isthmus.internal/isthmus")));
        Assert.Equal("", await RefusedAsync(Nodes()));
        Assert.Equal("", await RefusedAsync(Nodes([.. Enumerable.Range(0, 50).Select(number => $"a:{number}")])));
    }

    [Fact]
    public async Task An_image_that_was_loaded_just_now_is_awaited()
    {
        var answers = Nodes("docker.io/library/nginx:1");
        answers["then /api/v1/nodes"] = Nodes("docker.io/library/nginx:1", $"isthmus.internal/isthmus:{BuildVersion.Current}")["/api/v1/nodes"];
        var notes = new List<string>();
        Assert.Equal("", await RefusedAsync(answers, notes));
        // At once, and once: the wait is long.
        Assert.StartsWith(
            $"No node of test lists the image isthmus.internal/isthmus:{BuildVersion.Current} yet. Kubelets list an image up to 45 s after it is loaded: "
                + $"waiting.",
            Assert.Single(notes));
    }

    [Fact]
    public async Task A_namespace_that_refuses_the_pods_is_named()
    {
        const string reason =
            """{"kind":"Status","code":403,"reason":"Forbidden","message":"pods \"istiod-x\" is forbidden: violates PodSecurity \"restricted:latest\": host namespaces"}""";
        Assert.Contains(
            "Namespace istio-system in test: refuses the Pods of Deployment istiod: pods \"istiod-x\" is forbidden: violates PodSecurity "
                + "\"restricted:latest\": host namespaces (change the settings",
            await RefusedAsync(new() { ["/api/v1/namespaces/istio-system/pods"] = (403, reason) }), StringComparison.Ordinal);
        // Another reason may be gone when the installation runs.
        Assert.Equal("",
            await RefusedAsync(new()
            {
                ["/api/v1/namespaces/istio-system/pods"] = (403, reason.Replace("violates PodSecurity", "exceeded quota", StringComparison.Ordinal))
            }));
    }

    [Theory]
    [InlineData("""{"kube-proxy-replacement":"true"}""",
        "ConfigMap kube-system/cilium-config in test: bpf-lb-sock-hostns-only is not true: Cilium replaces the addresses of Services inside Pods")]
    [InlineData("""{"bpf-lb-sock":"true","bpf-lb-sock-hostns-only":"false"}""", "set socketLB.hostNamespaceOnly=true in Cilium's values")]
    [InlineData("""{"kube-proxy-replacement":"true","bpf-lb-sock-hostns-only":"true"}""", "")]
    [InlineData("""{"kube-proxy-replacement":"false"}""", "")]
    public async Task A_network_plugin_that_bypasses_sidecars_is_refused(string data, string message)
    {
        var refused = await RefusedAsync(new()
        {
            ["/api/v1/namespaces/kube-system/configmaps/cilium-config"] = (200,
                $$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cilium-config"},"data":{{data}}}""")
        });
        Assert.True(message.Length == 0 ? refused.Length == 0 : refused.Contains(message, StringComparison.Ordinal), refused);
    }

    [Theory]
    [InlineData("kube-system", "docker.io/istio/install-cni:1.20.8",
        "DaemonSet kube-system/istio-cni-node in test: is another CNI agent (docker.io/istio/install-cni:1.20.8), which writes the same files on each node (to "
            + "use it, leave components.cni.enabled=false and set values.istio_cni.enabled=true; otherwise remove it first)")]
    [InlineData("istio-system", "isthmus.internal/isthmus:0.1.0", "DaemonSet istio-system/istio-cni-node in test: is the CNI agent of another installation")]
    [InlineData("kube-system", "isthmus.internal/isthmus:0.1.0", "")]
    public async Task A_second_node_agent_is_refused(string ns, string image, string message)
    {
        var agents = new Dictionary<string, (int, string)>
        {
            ["/apis/apps/v1/daemonsets"] = (200,
                $$$$"""
                {"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"istio-cni-node","namespace":"{{{{ns}}}}"},
                   "spec":{"template":{"spec":{"containers":[{"image":"{{{{image}}}}"} ] } } } } ] }
                """),
        };
        var refused = await RefusedAsync(agents, "components.cni.enabled=true");
        Assert.True(message.Length == 0 ? refused.Length == 0 : refused.Contains(message, StringComparison.Ordinal), refused);
        Assert.Equal("", await RefusedAsync(agents, "values.istio_cni.enabled=true"));
    }

    [Theory]
    [InlineData("fd00:10:96::1", "fd00:10:244::7", "",
        "has only IPv6 addresses (Service default/kubernetes is fd00:10:96::1), which are not supported (use a cluster whose Pods and Services have IPv4 "
            + "addresses)")]
    [InlineData("fd00:10:96::1", "10.0.0.1", "\"hostNetwork\":true", "has only IPv6 addresses")]
    [InlineData("fd00:10:96::1", "10.244.0.7", "", "")] // two families
    [InlineData("10.96.0.1", "fd00:10:244::7", "", "")]
    public async Task A_cluster_without_IPv4_is_refused(string service, string pod, string spec, string message)
    {
        var refused = await RefusedAsync(new()
        {
            ["/api/v1/namespaces/default/services/kubernetes"] = (200,
                $$$"""{"metadata":{"name":"kubernetes"},"spec":{"clusterIP":"{{{service}}}","clusterIPs":["{{{service}}}"]} }"""),
            ["/api/v1/namespaces/kube-system/pods"] = (200,
                $$$"""{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a"},"spec":{ {{{spec}}} },"status":{"podIPs":[{"ip":"{{{pod}}}"}]} }]}"""),
        });
        Assert.True(message.Length == 0 ? refused.Length == 0 : refused.Contains(message, StringComparison.Ordinal), refused);
    }

    [Fact]
    public async Task A_cluster_in_order_is_accepted_and_nothing_is_changed()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var spec = OperatorSpec.Build([], [], null);
        await new Preconditions(client, TimeProvider.System, _ => { }).CheckAsync(spec, Manifests.Render(spec), Stop);
        Assert.Null(await client.FindAsync(Isthmus.Kubernetes.Objects.Kinds.Namespace, null, "istio-system", Stop));
    }

    /// <summary>Nodes of the lab list the image without a tag.</summary>
    [Theory]
    [InlineData("isthmus.internal/isthmus", "3.0.19", true)]
    [InlineData("isthmus.internal/isthmus", "3.5.0", false)]
    [InlineData("isthmus.internal/isthmus", null, false)]
    [InlineData("isthmus.internal/isthmus:0.1.0", "3.0.19", false)]
    public async Task A_machine_with_an_older_OpenSSL_is_warned_of_where_Pods_run_its_program(string image, string? library, bool isWarned)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(server => server.Listen(IPAddress.Loopback, 0));
        await using var server = builder.Build();
        server.Run(http => http.Response.WriteAsync(Nodes(image)["/api/v1/nodes"].Item2, Stop));
        await server.StartAsync(Stop);
        using var client = new KubeClient(new ClusterAccess { Name = "test", Server = new Uri(server.Urls.First()) });
        var warning = await new Preconditions(client, TimeProvider.System, _ => { }).TlsLibraryAsync(library is null ? null : Version.Parse(library), Stop);
        Assert.Equal(isWarned, warning is { Object: "cluster test" } && warning.Message.Contains("OpenSSL 3.0.19", StringComparison.Ordinal));
        Assert.Equal(isWarned, warning is not null);
    }

    private static Dictionary<string, (int, string)> Nodes(params string[] images) => new()
    {
        ["/api/v1/nodes"] = (200, new JsonObject
        {
            ["kind"] = "NodeList", ["apiVersion"] = "v1", ["metadata"] = new JsonObject { ["resourceVersion"] = "1" },
            ["items"] = new JsonArray(new JsonObject
            {
                ["metadata"] = new JsonObject { ["name"] = "n" },
                ["status"] = new JsonObject
                {
                    ["images"] = new JsonArray([.. images.Select(image => (JsonNode)new JsonObject { ["names"] = new JsonArray(image) })])
                },
            }),
        }.ToJsonString()),
    };

    /// <summary>Why an installation is refused by an API server with these answers; empty when it is not.</summary>
    private static Task<string> RefusedAsync(Dictionary<string, (int Code, string Body)> answers, params string[] flags) => RefusedAsync(answers, [], flags);

    private static async Task<string> RefusedAsync(Dictionary<string, (int Code, string Body)> answers, List<string> notes, params string[] flags)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(server => server.Listen(IPAddress.Loopback, 0));
        await using var server = builder.Build();
        var changes = new List<string>();
        server.Run(async http =>
        {
            var path = http.Request.Path.Value!;
            var isReview = path.EndsWith("/selfsubjectaccessreviews", StringComparison.Ordinal);
            if (http.Request.Method != "GET" && !isReview && http.Request.Query["dryRun"] != "All") changes.Add($"{http.Request.Method} {path}");
            var (code, body) = isReview
                ? (201, await ReviewAsync(http.Request, answers.GetValueOrDefault("denied").Body ?? ""))
                : answers.TryGetValue(path, out var given)
                ? given
                : (404, "{}");
            if (answers.Remove($"then {path}", out var next)) answers[path] = next;
            http.Response.StatusCode = code;
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(body, Stop);
        });
        await server.StartAsync(Stop);
        using var client = new KubeClient(new ClusterAccess { Name = "test", Server = new Uri(server.Urls.First()) });
        var spec = OperatorSpec.Build([], flags, null);
        try
        {
            var clock = new ManualClock();
            var check = new Preconditions(client, clock, notes.Add).CheckAsync(spec, Manifests.Render(spec), Stop);
            await Eventually.TrueAsync(() =>
            {
                if (!check.IsCompleted && clock.NextDue is { } due) clock.Advance(due);
                return check.IsCompleted;
            });
            await check;
            return "";
        }
        catch (ProblemException e)
        {
            return e.Message;
        }
        finally
        {
            Assert.Empty(changes);
        }
    }

    private static async Task<string> ReviewAsync(HttpRequest request, string denied)
    {
        var review = (JsonObject)(await JsonNode.ParseAsync(request.Body, cancellationToken: Stop))!;
        review["status"] = new JsonObject { ["allowed"] = !denied.Split(' ').Contains(review["spec"]!["resourceAttributes"]!["resource"]!.ToString()) };
        return review.ToJsonString();
    }
}
