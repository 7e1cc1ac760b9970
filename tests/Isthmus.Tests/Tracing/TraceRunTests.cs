using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What a trace reads, from a cluster that changes meanwhile.</summary>
public sealed class TraceRunTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_caller_that_is_created_while_Pods_are_listed_is_found()
    {
        var trace = await TraceAsync(new(missing: 1));
        Assert.Equal("client", trace.Hops[0].Name);
        Assert.Contains("caller-1", trace.Client, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_that_comes_and_goes_is_a_problem_with_a_remedy()
    {
        var told = await Assert.ThrowsAsync<ProblemException>(() => TraceAsync(new(missing: int.MaxValue)));
        Assert.Equal("Pod deployment/caller in here: was created or deleted while the cluster was read (repeat the command when its workload is rolled out)",
            told.Message);
    }

    /// <summary>Calls of a gateway leave without its listeners: what a trace of them would say is true of no call.</summary>
    [Fact]
    public async Task A_gateway_is_no_caller_and_how_calls_enter_there_is_said()
    {
        var told = await Assert.ThrowsAsync<ProblemException>(() => TraceAsync(new(missing: 0) { IsGateway = true }));
        Assert.Equal("Pod shop/caller-1 in here: is a gateway, which passes on what others call, and calls nothing itself (to follow a call from outside that "
            + "enters there: isthmus trace gateway/front.shop called:80/)", told.Message);
    }

    /// <summary>The role <c>view</c> in one namespace, for example.</summary>
    [Fact]
    public async Task A_user_who_may_not_list_namespaces_is_told_which_rights_a_trace_needs()
    {
        var told = await Assert.ThrowsAsync<ProblemException>(() => TraceAsync(new(missing: 0) { Refused = "/api/v1/namespaces" }));
        Assert.StartsWith("cluster here: namespaces is forbidden: ", told.Message, StringComparison.Ordinal);
        Assert.Contains("(use a user who may list namespaces in the whole cluster, or give dev this right, and whichever else it lacks: "
            + "'kubectl --context=here auth can-i list namespaces -A' asks for it", told.Message, StringComparison.Ordinal);
        Assert.Contains("trace lists authorizationpolicies.security.istio.io, ", told.Message, StringComparison.Ordinal);
        Assert.Contains("creates pods/portforward", told.Message, StringComparison.Ordinal);
    }

    /// <summary>It is not only in the other cluster.</summary>
    [Fact]
    public async Task A_caller_that_is_scaled_to_0_is_not_said_to_be_elsewhere()
    {
        using var run = new TraceRun([new() { Name = "here", Server = new("https://here.test"), StandIn = new ChangingCluster(0) { IsScaledToZero = true } },
            new() { Name = "there", Server = new("https://there.test"), StandIn = new ChangingCluster(0) }], "istio-system", TimeProvider.System,
            new Random(1));
        var told = await Assert.ThrowsAsync<ProblemException>(() =>
            run.RunAsync(new("deployment/caller", "shop", TraceTarget.Parse("called:80/"), MakeCall: false, TimeSpan.FromSeconds(1)), Stop));
        Assert.Equal("Deployment shop/caller in here: has no Pod: spec.replicas is 0 (kubectl --context=here -n shop scale deployment caller --replicas=1; or "
            + "follow the call from there, where it has one: add --context=there)", told.Message);
    }

    /// <summary>Its Service has another name.</summary>
    [Fact]
    public async Task A_call_enters_at_a_Gateway_by_its_own_name()
    {
        var cluster = new ChangingCluster(missing: 0) { IsGateway = true };
        var trace = await TraceAsync(cluster, "gateway/entrance");
        Assert.Equal(("gateway", "Service shop/front in here", 1), (trace.Hops[0].Name, trace.Hops[0].Summary, cluster.Lists));
        var told = await Assert.ThrowsAsync<ProblemException>(() => TraceAsync(new(missing: 0) { IsGateway = true }, "gateway/exit"));
        Assert.StartsWith("Service shop/exit in here: does not exist, nor does a Gateway of the Gateway API with this name", told.Message, StringComparison.Ordinal);
    }

    private static async Task<CallTrace> TraceAsync(ChangingCluster cluster, string caller = "deployment/caller")
    {
        using var run = new TraceRun([new() { Name = "here", Server = new("https://here.test"), StandIn = cluster }], "istio-system", TimeProvider.System,
            new Random(1));
        return await run.RunAsync(new(caller, "shop", TraceTarget.Parse("called:80/"), MakeCall: false, TimeSpan.FromSeconds(1)), Stop);
    }

    /// <summary>A Deployment whose Pod is in every second list of Pods only, for a while: the trace lists them, and then looks for the caller.</summary>
    /// <param name="missing">How many lists lack the Pod.</param>
    private sealed class ChangingCluster(int missing) : ClusterStandIn
    {
        private const string Front = """
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front", "namespace": "shop", "labels": {"gateway.networking.k8s.io/gateway-name": "entrance"} },
             "spec": {"selector": {"app": "caller"} } }
            """;

        private const string Pods = "/api/v1/namespaces/shop/pods";

        private int _lists;

        /// <summary>How often the Pods were listed.</summary>
        public int Lists => _lists;

        public bool IsGateway { get; init; }

        public bool IsScaledToZero { get; init; }

        /// <summary>A list that the user may not read.</summary>
        public string Refused { get; init; } = "";

        public override DateTimeOffset TakenAt => DateTimeOffset.UnixEpoch;

        public override StandInAnswer Ask(string path) => path.Split('?')[0] switch
        {
            var list when list == Refused => StandInAnswer.Refused(403, "Forbidden",
                $"{list.Split('/')[^1]} is forbidden: User \"dev\" cannot list resource \"{list.Split('/')[^1]}\" in API group \"\" at the cluster scope"),
            Pods when Interlocked.Increment(ref _lists) is var number => List(number % 2 == 1 && number / 2 < missing
                ? ""
                : $$"""
                {"metadata": {"name": "caller-1", "namespace": "shop", "labels": {"app": "caller"} },
                 "spec": {"containers": [{"name": "{{(IsGateway ? "istio-proxy" : "web")}}", "args": ["proxy", "router"]}] } }
                """),
            "/api/v1/services" => List(Front),
            "/api/v1/namespaces/shop/services/front" => StandInAnswer.Ok(Front),
            "/apis/gateway.networking.k8s.io/v1/gateways" => List("""{"metadata": {"name": "entrance", "namespace": "shop"}, "spec": {"gatewayClassName": "istio"} }"""),
            "/apis/apps/v1/namespaces/shop/deployments/caller" =>
                StandInAnswer.Ok($$"""
                    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "caller", "namespace": "shop"},
                     "spec": { {{(IsScaledToZero ? "\"replicas\": 0, " : "")}} "selector": {"matchLabels": {"app": "caller"} } } }
                    """),
            var other when other.Split('/')[^1] is "caller" or "entrance" or "exit" => StandInAnswer.Refused(404, "NotFound", "not found"),
            _ => List(""),
        };

        public override StandInAnswer AskPod(string ns, string pod, int port, PodRequest request) => throw new HttpRequestException("nobody answers");

        private static StandInAnswer List(string item) =>
            StandInAnswer.Ok($$"""{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [{{item}}]}""");
    }
}
