using System.Collections.Concurrent;
using Isthmus.Explain.Tracing;
using Isthmus.Kubernetes.Client;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What <c>verify</c> asks of an API server.</summary>
public sealed class VerificationTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Services are listed for the mesh, too.</summary>
    [Fact]
    public async Task Workloads_are_checked_with_the_objects_of_the_analysis()
    {
        var cluster = new CountingCluster();
        Assert.Contains(await VerifyAsync(cluster), check => check is { What: "workloads", Problem: null });
        Assert.Equal((1, 2, 1, 1), (cluster.Lists("/api/v1/pods"), cluster.Lists("/api/v1/services"), cluster.Lists("/apis/apps/v1/deployments"),
            cluster.Lists("/api/v1/namespaces")));
    }

    [Fact]
    public async Task Workloads_are_checked_although_something_else_may_not_be_read()
    {
        var cluster = new CountingCluster { Refused = "/sidecars" };
        Assert.Contains(await VerifyAsync(cluster), check => check is { What: "workloads", Problem: null });
        Assert.Equal(2, cluster.Lists("/api/v1/pods"));
    }

    [Fact]
    public async Task Workloads_that_may_not_be_read_are_a_finding()
    {
        var checks = await VerifyAsync(new() { Refused = "/deployments", WithSelector = false });
        Assert.Contains(checks, check => check is { What: "workloads", Problem.Code: "ISM1035" });
    }

    private static async Task<IReadOnlyList<Operate.Diagnose.Check>> VerifyAsync(CountingCluster cluster) =>
        (await Verification.RunAsync([new() { Name = "here", Server = new("https://here.test"), StandIn = cluster }], "istio-system", TimeProvider.System,
            Stop)).Checks;

    /// <summary>A cluster with an installation that has no control plane, which counts what is asked.</summary>
    private sealed class CountingCluster : ClusterStandIn
    {
        private readonly ConcurrentBag<string> _asked = [];

        /// <summary>The end of the path of the list that the user may not read.</summary>
        public string Refused { get; init; } = "";

        /// <summary>Whether lists with a selector are refused, too.</summary>
        public bool WithSelector { get; init; } = true;

        public override DateTimeOffset TakenAt => DateTimeOffset.UnixEpoch;

        /// <summary>How often all objects of a kind were listed.</summary>
        public int Lists(string path) => _asked.Count(asked => asked.Split('?')[0] == path && !Selects(asked));

        public override StandInAnswer Ask(string path)
        {
            _asked.Add(path);
            var plain = path.Split('?')[0];
            var isRefused = Refused.Length > 0 && plain.EndsWith(Refused, StringComparison.Ordinal) && (WithSelector || !Selects(path));
            return isRefused ? StandInAnswer.Refused(403, "Forbidden", "forbidden by test")
                : plain == "/api/v1/namespaces/istio-system"
                ? StandInAnswer.Ok("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}""")
                // The plurals of all kinds end so, and the names of what is looked for do not.
                : plain.EndsWith('s') ? StandInAnswer.Ok("""{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}""")
                : StandInAnswer.Refused(404, "NotFound", "not found");
        }

        public override StandInAnswer AskPod(string ns, string pod, int port, PodRequest request) => throw new HttpRequestException("nobody answers");

        private static bool Selects(string path) => path.Contains("elector=", StringComparison.Ordinal);
    }
}
