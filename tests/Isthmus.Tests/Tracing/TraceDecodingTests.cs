using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Decisions;
using Isthmus.Proxy.Snapshot;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>A dump has the clusters and routes of the whole mesh. Of gateways and callees, a trace decodes those that the call takes.</summary>
public sealed class TraceDecodingTests
{
    private const string Clusters = "\"dynamic_active_clusters\": [", Routes = "\"dynamic_route_configs\": [";

    [Fact]
    public void Of_gateways_and_callees_only_what_the_call_takes_is_decoded()
    {
        var facts = Walk(new TraceScenario(), """{"cluster": {"name": "outbound|80||other-<n>.shop.svc.cluster.local", "type": "STATIC"}}, """,
            """{"route_config": {"name": "80<n>"}}, """);
        // The caller's proxy is read whole: its hop tells what cannot be decoded.
        Assert.All(facts.Proxies.Where(proxy => proxy.Key != facts.Client), proxy => Assert.Equal(1, Decoded(proxy.Value.Decisions.Snapshot)));
        Assert.Equal([101, 101, 101, 102], facts.Proxies.Values.Select(proxy => proxy.Decisions.Snapshot.Clusters.Count).Order());
    }

    [Fact]
    public void What_cannot_be_decoded_does_not_stop_a_call_that_does_not_take_it_and_is_told_when_asked_for()
    {
        var scenario = new TraceScenario();
        var facts = Walk(scenario, """{"cluster": {"name": "bad-<n>", "type": "NO_SUCH_TYPE"}}, """,
            """{"route_config": {"name": "bad-<n>", "virtual_hosts": 1}}, """);
        var proxy = facts.Proxies[facts.Client];
        Assert.Equal(200, proxy.Decisions.Unread.Count());
        Assert.StartsWith("bad-0: ", proxy.Decisions.Unread.First(), StringComparison.Ordinal);
        Assert.False(proxy.Decisions.Snapshot.Clusters.ContainsKey("bad-0"));
        Assert.Equal(2, proxy.Decisions.Snapshot.Clusters.Count);
        Assert.Equal(["80"], proxy.Decisions.Snapshot.Routes.Keys);
    }

    /// <summary>The facts of a finished walk through proxies with a hundred more clusters and routes each.</summary>
    private static TraceFacts Walk(TraceScenario scenario, string cluster, string route)
    {
        string More(string dump) =>
            dump.Replace(Clusters, Clusters + Hundred(cluster), StringComparison.Ordinal).Replace(Routes, Routes + Hundred(route), StringComparison.Ordinal);
        (scenario.Client, scenario.Gateway, scenario.Callee, scenario.CalleeThere) = (More(scenario.Client), More(scenario.Gateway), More(scenario.Callee),
            More(scenario.CalleeThere));
        var walk = new AddressWalk(scenario.Facts(), new Random(1));
        scenario.Complete(walk);
        Assert.True(walk.Trace.Succeeds);
        return walk.Facts;
    }

    private static string Hundred(string item) => string.Concat(Enumerable.Range(0, 100).Select(n => item.Replace("<n>", $"{n}", StringComparison.Ordinal)));

    private static int Decoded(ProxySnapshot snapshot) =>
        ((DumpedResources<ClusterState>)snapshot.Clusters).Decoded + ((DumpedResources<RouteTable>)snapshot.Routes).Decoded;

    /// <summary>Agents of older releases do not tell whether they make calls.</summary>
    [Theory]
    [InlineData("{}", "no call is made, because its agent is of an older release: restart the Pod")]
    [InlineData("""{"calls": false}""", "no call is made, because it lacks the PROXY protocol or access logs by gRPC")]
    [InlineData("""{"calls": true}""", "calls are made")]
    public void Why_the_agent_of_an_Envoy_makes_no_calls_is_told(string pod, string says)
    {
        var page = JsonNode.Parse(TraceScenario.Envoy(new TraceScenario().Client))!;
        page["pod"] = JsonNode.Parse(pod);
        Assert.Contains(says, TraceScenario.View(page.ToJsonString()).Stranger, StringComparison.Ordinal);
    }
}
