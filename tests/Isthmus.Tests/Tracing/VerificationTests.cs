using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Diagnose.Packing;
using Isthmus.Tests.Clusters;
using Isthmus.WebConsole.Reading;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What commands that look at whole clusters ask of an API server.</summary>
public sealed class VerificationTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_mesh_and_workloads_are_checked_with_the_objects_of_the_analysis()
    {
        var cluster = new CountingCluster();
        Assert.Contains(await VerifyAsync(cluster), check => check is { What: "workloads", Problem: null });
        Assert.All(["/api/v1/pods", "/api/v1/services", "/api/v1/nodes", "/apis/apps/v1/deployments",
            $"/apis/{MeshApi.VirtualService.ApiVersion}/virtualservices", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"],
            path => Assert.Equal(1, cluster.Lists(path)));
        Assert.Empty(cluster.ListedTwice);
    }

    [Fact]
    public async Task What_gateways_lead_to_is_found_in_the_objects_of_the_analysis()
    {
        var cluster = new CountingCluster
        {
            Answers = new Dictionary<string, string>
            {
                ["/api/v1/services"] = """
                    {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [
                     {"metadata": {"name": "gw", "namespace": "east", "labels": {"topology.istio.io/network": "n1"}},
                      "spec": {"selector": {"app": "gw"}, "type": "LoadBalancer", "ports": [{"port": 15443}]},
                      "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}]}
                    """,
            },
        };
        Assert.Contains(await VerifyAsync(cluster), check => check.Problem is { Code: "ISM1006", Message: "spec.selector app=gw matches no Pod" });
        Assert.DoesNotContain(cluster.Asked, path => path.Contains("/namespaces/east/pods", StringComparison.Ordinal)
            || path.Contains("/namespaces/east/deployments", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_analysis_lists_nothing_twice()
    {
        var cluster = new CountingCluster();
        var inventory = await new InventoryReader("istio-system", proxies: 200) { Certificates = true }.ReadAsync("here", cluster.Access, Stop);
        Assert.Equal(("", 1), (inventory.Error, cluster.Lists("/api/v1/services")));
        Assert.Empty(cluster.ListedTwice);
    }

    [Fact]
    public async Task Workloads_are_checked_although_something_else_may_not_be_read()
    {
        var cluster = new CountingCluster { Refused = "/sidecars" };
        Assert.Contains(await VerifyAsync(cluster), check => check is { What: "workloads", Problem: null });
        Assert.Equal((1, 1), (cluster.Lists("/api/v1/pods"), cluster.Lists("/api/v1/services")));
    }

    [Fact]
    public async Task Workloads_that_may_not_be_read_are_a_finding()
    {
        var checks = await VerifyAsync(new() { Refused = "/deployments", WithSelector = false });
        Assert.Contains(checks, check => check is { What: "workloads", Problem.Code: "ISM1035" });
    }

    /// <summary>The Pods of the caller's namespace are listed again when the caller is looked up: the two are compared.</summary>
    [Fact]
    public async Task A_trace_lists_nothing_of_all_namespaces_twice()
    {
        var cluster = new CountingCluster();
        using var run = new TraceRun([cluster.Access], "istio-system", TimeProvider.System, new Random(1));
        await Assert.ThrowsAsync<ProblemException>(() =>
            run.RunAsync(new("caller", "shop", TraceTarget.Parse("called:80/"), MakeCall: false, TimeSpan.FromSeconds(1)), Stop));
        Assert.Equal(1, cluster.Lists("/api/v1/services"));
        Assert.DoesNotContain(cluster.ListedTwice, path => !path.Contains("/namespaces/shop/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_trace_names_what_may_not_be_read_and_goes_on()
    {
        var cluster = new CountingCluster { Refused = "/httproutes" };
        using var client = new KubeClient(cluster.Access);
        var objects = await ClusterObjectsReader.ReadAsync("here", new(client, Stop), "istio-system", ["shop"], Stop);
        Assert.Equal(("", "HTTPRoute"), (objects.Error, string.Join(' ', objects.Unread)));
        Assert.Equal((true, false), (objects.Knows(MeshApi.NetworkPolicy), objects.Knows(MeshApi.HttpRoute)));
        Assert.Equal(["shop"], objects.PodNamespaces);
    }

    /// <summary>What did not arrive may arrive the second time.</summary>
    [Fact]
    public async Task Workloads_are_asked_for_again_where_they_could_not_be_read()
    {
        var cluster = new CountingCluster { Fails = "/api/v1/pods" };
        Assert.Contains(await VerifyAsync(cluster), check => check is { What: "workloads", Problem: null });
        Assert.Equal((2, 1), (cluster.Lists("/api/v1/pods"), cluster.Lists("/api/v1/services")));
    }

    [Fact]
    public async Task The_console_lists_nothing_twice_for_one_picture()
    {
        var cluster = new CountingCluster();
        using var reader = new MeshStateReader([cluster.Access], "istio-system", TimeProvider.System);
        var state = Assert.Single((await reader.ReadAsync(Stop)).Clusters);
        Assert.Equal(("", true, 1, 1), (state.Facts.Error, state.Facts.HasIstio, cluster.Lists("/api/v1/services"), cluster.Lists("/api/v1/pods")));
        Assert.Empty(cluster.ListedTwice);
        await reader.ReadAsync(Stop);
        Assert.Equal(2, cluster.Lists("/api/v1/services"));
    }

    /// <summary>Gateways are tried between clusters that answer: which ones, the objects that were packed tell.</summary>
    [Fact]
    public async Task A_bug_report_lists_nothing_of_all_namespaces_twice()
    {
        var answers = new Dictionary<string, string>
        {
            ["/version"] = "{}",
            ["/api/v1/namespaces"] = """{"kind": "List", "metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "istio-system"}}]}""",
        };
        CountingCluster[] clusters = [new("one") { Answers = answers }, new("two") { Answers = answers }];
        var request = new BugReportRequest("one", "istio-system", PodSelection.Parse([], []), null, TimeSpan.FromMinutes(1), "test");
        await using var file = new MemoryStream();
        var manifest = await new BugReport([.. clusters.Select(cluster => cluster.Access)], request, TimeProvider.System, _ => { }).WriteAsync(file, Stop);
        Assert.All(manifest.Clusters, cluster => Assert.Equal(("", true), (cluster.Error, cluster.Objects > 0)));
        Assert.All(clusters, cluster => Assert.Equal(1, cluster.Lists("/api/v1/services")));
        Assert.All(clusters, cluster => Assert.Contains("/api/v1/namespaces/istio-system", cluster.Asked));
        Assert.All(clusters, cluster => Assert.Empty(cluster.ListedTwice));
    }

    private static async Task<IReadOnlyList<Operate.Diagnose.Check>> VerifyAsync(CountingCluster cluster) =>
        (await Verification.RunAsync([cluster.Access], "istio-system", TimeProvider.System, Stop)).Checks;
}
