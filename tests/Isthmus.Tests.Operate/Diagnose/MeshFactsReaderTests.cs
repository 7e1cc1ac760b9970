using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class MeshFactsReaderTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(500, "etcdserver: request timed out")]
    [InlineData(503, "the server is starting")]
    public async Task One_failed_response_is_asked_again_and_noted(int status, string message)
    {
        var facts = await ReadAsync(1, status, message);
        Assert.Equal("", facts.Error);
        Assert.Contains(message, facts.FirstError, StringComparison.Ordinal);
        var check = MeshVerification.Run([facts], DateTimeOffset.UnixEpoch).First();
        Assert.Null(check.Problem);
        Assert.StartsWith("reachable at the second attempt; the first: ", check.Found, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_fails_again_is_judged()
    {
        var facts = await ReadAsync(int.MaxValue, 500, "etcdserver: request timed out");
        Assert.Contains("etcdserver", facts.Error, StringComparison.Ordinal);
        Assert.Equal("ISM1001", MeshVerification.Run([facts], DateTimeOffset.UnixEpoch).First().Problem?.Code);
    }

    [Fact]
    public async Task A_refusal_stays_one()
    {
        var facts = await ReadAsync(int.MaxValue, 403, "forbidden", "/api/v1/services");
        Assert.Contains("forbidden", facts.Error, StringComparison.Ordinal);
        Assert.Equal(403, facts.ErrorStatus);
    }

    /// <summary>It runs, and its address is right: neither is what to look at.</summary>
    [Fact]
    public async Task A_server_that_refuses_the_user_is_not_called_unreachable()
    {
        var facts = await ReadAsync(int.MaxValue, 403,
            "services is forbidden: User \"dev\" cannot list resource \"services\" in API group \"\" at the cluster scope", "/api/v1/services");
        var check = MeshVerification.Run([facts], DateTimeOffset.UnixEpoch).First();
        Assert.Equal(("refuses this user", "ISM1001"), (check.Found, check.Problem?.Code));
        Assert.Equal("use a user who may list services in the whole cluster, or give dev this right, and whichever else it lacks: 'kubectl --context=c1 "
            + "auth can-i list services -A' asks for it, 'auth can-i --list' for all", check.Problem?.Remedy);
        var expired = MeshVerification.Run([facts with { ErrorStatus = 401, Error = "Unauthorized" }], DateTimeOffset.UnixEpoch).First();
        Assert.StartsWith("renew the credentials of the user of context c1", expired.Problem?.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The right to view a cluster leaves out nodes and webhooks, for example.</summary>
    [Theory]
    [InlineData("/api/v1/nodes", WithheldFacts.Ranges)]
    [InlineData("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", WithheldFacts.Webhooks)]
    [InlineData("/portforward", WithheldFacts.Reports)]
    [InlineData("/apis/gateway.networking.k8s.io/v1/gateways", WithheldFacts.Gateways)]
    public async Task What_the_user_may_not_read_is_named_and_the_rest_is_read(string path, string part)
    {
        var facts = await ReadAsync(int.MaxValue, 403, "forbidden by test", path);
        Assert.Equal(("", true, 1), (facts.Error, facts.HasIstio, facts.ControlPlanes.Count));
        var withheld = Assert.Single(facts.Withheld);
        Assert.Equal(part, withheld.Part);
        Assert.Contains(part == WithheldFacts.Reports ? "istiod-1" : "forbidden by test", withheld.Why, StringComparison.Ordinal);
        var checks = MeshVerification.Run([facts, facts with { Context = "c2", Name = "c2", Withheld = [] }], DateTimeOffset.UnixEpoch).ToList();
        Assert.Contains(checks, check => check.Cluster == "c1" && check.What == part && check is { IsKnown: false, Problem: null });
        // Nothing is concluded from what is not known.
        Assert.Equal(part == WithheldFacts.Gateways, facts.ExposesServices);
        Assert.DoesNotContain(checks, check => check is { Cluster: "c1", Problem.Code: "ISM1021" });
        Assert.Equal(part == WithheldFacts.Reports, checks.Any(check => check is { Cluster: "c2", Problem.Code: "ISM1021" }));
        Assert.Equal(part != WithheldFacts.Webhooks,
            checks.Any(check => check is { Cluster: "c1", What: "injection webhook", Found: "none, and no namespace asks for sidecars" }));
    }

    /// <summary>Checks of what a gateway's Service leads to are not left out without a word.</summary>
    [Theory]
    [InlineData("east", "pods", "Pods of gateways in east")]
    [InlineData("istio-system", "deployments", "Deployments of gateways in istio-system")]
    public async Task A_gateway_whose_Pods_or_Deployments_may_not_be_listed_is_a_check_that_was_not_made(string ns, string plural, string part)
    {
        var message = $"{plural} is forbidden: User \"dev\" cannot list resource \"{plural}\" in the namespace \"{ns}\"";
        var facts = await ReadAsync(int.MaxValue, 403, message, $"/namespaces/{ns}/{plural}", ("services", """
            {"metadata": {"name": "gw", "namespace": "<ns>", "labels": {"topology.istio.io/network": "n1"}},
             "spec": {"selector": {"app": "gw"}, "ports": [{"port": 15443}]}}
            """.Replace("<ns>", ns, StringComparison.Ordinal)));
        Assert.Equal(("", $"{ns}/gw"), (facts.Error, Assert.Single(facts.Gateways).Name));
        var check = Assert.Single(MeshVerification.Run([facts], DateTimeOffset.UnixEpoch), check => !check.IsKnown);
        Assert.Equal(("c1", part, message, null), (check.Cluster, check.What, check.Found, check.Problem));
    }

    /// <summary>Somebody has deleted it: what is not there has no wrong CA bundle either.</summary>
    [Fact]
    public async Task A_cluster_without_the_webhook_that_its_namespaces_need_fails()
    {
        var facts = await ReadAsync(int.MaxValue, 403, "forbidden by test", "/api/v1/nodes",
            ("namespaces", """{"metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}}}"""));
        Assert.Equal(["shop"], facts.Uninjected!.Value);
        var check = MeshVerification.Run([facts], DateTimeOffset.UnixEpoch).Single(check => check.What == "injection webhook");
        Assert.Equal(("none", "ISM1044"), (check.Found, check.Problem?.Code));
        Assert.Contains("namespaces ask for them: shop", check.Problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>A removed control plane has left it behind: nobody can change an object of Istio.</summary>
    [Fact]
    public async Task A_webhook_for_Istio_objects_whose_Service_is_gone_is_a_problem()
    {
        var facts = await ReadAsync(int.MaxValue, 403, "forbidden by test", "/api/v1/nodes", ("validatingwebhookconfigurations", """
            {"metadata": {"name": "old"}, "webhooks": [{"name": "validation.istio.io", "failurePolicy": "Fail", "rules": [{"apiGroups": ["security.istio.io"]}],
             "clientConfig": {"service": {"namespace": "istio-system", "name": "istiod-old"}}}]}
            """));
        var problem = MeshVerification.Run([facts], DateTimeOffset.UnixEpoch).Select(check => check.Problem)
            .Single(problem => problem?.Object == "ValidatingWebhookConfiguration old")!;
        Assert.Equal(("ISM1008", "webhooks[0].clientConfig.service"), (problem.Code, problem.Path));
        Assert.StartsWith("Service istio-system/istiod-old does not exist", problem.Message, StringComparison.Ordinal);
        Assert.EndsWith("kubectl --context=c1 delete validatingwebhookconfiguration old", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Two kinds have the name Gateway, and VirtualServices can be bound to one of them.</summary>
    [Fact]
    public void A_VirtualService_that_names_a_Gateway_of_the_Gateway_API_is_told_so()
    {
        static JsonObject Named(string name, string spec = "{}") =>
            JsonNode.Parse("{\"metadata\": {\"name\": \"" + name + "\", \"namespace\": \"shop\"}, \"spec\": " + spec + "}")!.AsObject();
        var routes = new[] { Named("route", "{\"gateways\": [\"front\", \"gone\", \"shop/own\", \"mesh\"]}") };
        Assert.Equal([
            ("ISM1031", "spec.gateways[0]",
                "Gateway shop/front is one of the Gateway API, to which VirtualServices cannot be bound, so what it routes is not exposed",
                "write an HTTPRoute with parentRefs to shop/front, or create a Gateway of Istio"),
            ("ISM1031", "spec.gateways[1]", "Gateway shop/gone does not exist, so what it routes is not exposed", "create the Gateway, or name another one"),
        ], DanglingReferences.LooseRoutes(routes, [Named("own")], [Named("front")])
            .Select(problem => (problem.Code, problem.Path, problem.Message, problem.Remedy)));
    }

    /// <summary>A control plane that starts with a document which is not YAML has defaults, one that runs what it read before: nobody knows.</summary>
    [Theory]
    [InlineData("rootNamespace: settings", "settings")]
    [InlineData("rootNamespace: [", null)]
    [InlineData(null, null)]
    public async Task The_MeshConfig_of_the_control_plane_is_read(string? mesh, string? root)
    {
        var map = new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = "istio", ["namespace"] = "istio-system" }, ["data"] = new JsonObject { ["mesh"] = mesh },
        };
        var facts = await ReadAsync(0, 200, "", "/nothing", ("configmaps", map.ToJsonString()));
        Assert.Equal(("", root), (facts.Error, facts.Mesh?.RootNamespace));
    }

    [Fact]
    public async Task A_server_that_cannot_be_reached_is_judged_after_the_second_attempt()
    {
        using var nobody = new Isthmus.Testing.ReservedPort();
        var facts = await new MeshFactsReader("istio-system").ReadAsync("c1", new() { Server = new($"http://127.0.0.1:{nobody.Number}") }, Stop);
        Assert.Contains("connection refused", facts.Error, StringComparison.Ordinal);
        Assert.Contains("connection refused", facts.FirstError, StringComparison.Ordinal);
    }

    /// <summary>Reads a cluster whose API server fails the first requests.</summary>
    /// <param name="only">The end of the paths that fail, and then the cluster has a control plane; empty: all paths, of an empty cluster.</param>
    /// <param name="more">Objects besides the control plane and its namespace, by the plural of their kind.</param>
    private static async Task<ClusterFacts> ReadAsync(int failures, int status, string message, string only = "",
        params (string Plural, string Text)[] more)
    {
        var ready = only == "/portforward"; // Otherwise nobody asks it.
        var planes = """
            {"deployments": {"metadata": {"name": "istiod", "namespace": "istio-system"},
              "spec": {"selector": {"matchLabels": {"app": "istiod"}},
               "template": {"spec": {"containers": [{"env": [{"name": "CLUSTER_ID", "value": "c1"}]}]}}}},
             "pods": {"metadata": {"name": "istiod-1", "namespace": "istio-system", "labels": {"app": "istiod"}},
              "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "<ready>"}]}},
             "istio-system": {"metadata": {"name": "istio-system"}}}
            """.Replace("<ready>", ready ? "True" : "False", StringComparison.Ordinal);
        var known = only.Length == 0 ? [] : JsonNode.Parse(planes)!.AsObject();
        foreach (var (plural, text) in more) known[plural] = JsonNode.Parse(text);
        var asked = 0;
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var path = context.Request.Path.Value!;
            // A control plane whose port is forwarded by neither way says nothing.
            var fails = only.Length > 0
                ? path.EndsWith(only, StringComparison.Ordinal) || (only == "/portforward" && path.EndsWith("/exec", StringComparison.Ordinal))
                : Interlocked.Increment(ref asked) <= failures;
            var item = known[path.Split('/')[^1]]?.DeepClone();
            var isObject = path.EndsWith("/namespaces/istio-system", StringComparison.Ordinal)
                || path.EndsWith("/istio-ca-root-cert", StringComparison.Ordinal);
            context.Response.StatusCode = fails ? status : isObject && item is null ? 404 : 200;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync((fails || (isObject && item is null)
                ? new JsonObject { ["kind"] = "Status", ["code"] = context.Response.StatusCode, ["message"] = fails ? message : "not found" }
                : isObject ? (JsonObject)item!
                : new JsonObject
                {
                    ["kind"] = "List", ["metadata"] = new JsonObject { ["resourceVersion"] = "1" },
                    ["items"] = item is null ? new JsonArray() : new JsonArray(item)
                })
                .ToJsonString(),
                Stop);
        });
        return await new MeshFactsReader("istio-system").ReadAsync("c1", new() { Server = new($"http://127.0.0.1:{server.Port}") }, Stop);
    }
}
