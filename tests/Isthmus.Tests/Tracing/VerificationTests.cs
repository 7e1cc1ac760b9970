using System.Collections.Concurrent;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What <c>verify</c> asks of an API server.</summary>
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

    /// <summary>What did not arrive may arrive the second time.</summary>
    [Fact]
    public async Task Workloads_are_asked_for_again_where_they_could_not_be_read()
    {
        var cluster = new CountingCluster { Fails = "/api/v1/pods" };
        Assert.Contains(await VerifyAsync(cluster), check => check is { What: "workloads", Problem: null });
        Assert.Equal((2, 1), (cluster.Lists("/api/v1/pods"), cluster.Lists("/api/v1/services")));
    }

    private static async Task<IReadOnlyList<Operate.Diagnose.Check>> VerifyAsync(CountingCluster cluster) =>
        (await Verification.RunAsync([cluster.Access], "istio-system", TimeProvider.System, Stop)).Checks;

    /// <summary>A cluster with an installation that has no control plane, which counts what is asked.</summary>
    private sealed class CountingCluster : ClusterStandIn
    {
        private readonly ConcurrentBag<string> _asked = [];

        /// <summary>The end of the path of the list that the user may not read.</summary>
        public string Refused { get; init; } = "";

        /// <summary>The path of the list that the cluster does not answer the first time.</summary>
        public string Fails { get; init; } = "";

        /// <summary>Whether lists with a selector are refused, too.</summary>
        public bool WithSelector { get; init; } = true;

        public ClusterAccess Access => new() { Name = "here", Server = new("https://here.test"), StandIn = this };

        /// <summary>What was listed more than once, with its selector. Pages are asked for one by one, but there is only one here.</summary>
        public IEnumerable<string> ListedTwice => _asked.Where(IsList).CountBy(asked => asked).Where(asked => asked.Value > 1).Select(asked => asked.Key);

        public override DateTimeOffset TakenAt => DateTimeOffset.UnixEpoch;

        /// <summary>How often all objects of a kind were listed.</summary>
        public int Lists(string path) => _asked.Count(asked => asked.Split('?')[0] == path && !Selects(asked));

        public override StandInAnswer Ask(string path)
        {
            _asked.Add(path);
            var plain = path.Split('?')[0];
            if (plain == Fails && Lists(Fails) == 1 && !Selects(path)) throw new HttpRequestException("nobody answers");
            var isRefused = Refused.Length > 0 && plain.EndsWith(Refused, StringComparison.Ordinal) && (WithSelector || !Selects(path));
            return isRefused ? StandInAnswer.Refused(403, "Forbidden", "forbidden by test")
                : plain == "/api/v1/namespaces/istio-system"
                ? StandInAnswer.Ok("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}""")
                : IsList(path) ? StandInAnswer.Ok("""{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}""")
                : StandInAnswer.Refused(404, "NotFound", "not found");
        }

        public override StandInAnswer AskPod(string ns, string pod, int port, PodRequest request) => throw new HttpRequestException("nobody answers");

        /// <summary>The plurals of all kinds end so, and the names of what is looked for do not.</summary>
        private static bool IsList(string path) => path.Split('?')[0].EndsWith('s');

        private static bool Selects(string path) => path.Contains("elector=", StringComparison.Ordinal);
    }
}
