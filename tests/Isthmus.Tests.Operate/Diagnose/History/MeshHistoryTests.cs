using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose.History;
using Isthmus.Reports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.History;

/// <summary>What the lines of a history say.</summary>
public sealed class MeshHistoryTests
{
    private static MeshChange Read(string line, string cluster = "c2") =>
        MeshChange.Read(StrictJson.Parse(line, ControlPlaneReports.Default.ChangeReport), "istiod-1", cluster);

    private static MeshChange Endpoints(int before, int fewest, int after) => Read(
        $$$"""
        {"cluster": "c1", "kind": "Endpoints", "name": "orders", "verb": "changed",
         "endpoints": {"before": {"ready": {{{before}}} }, "fewest": {"ready": {{{fewest}}} }, "after": {"ready": {{{after}}} } } }
        """);

    /// <summary>Only a control plane that is not of Isthmus keeps none. What another one remembers is missing.</summary>
    [Fact]
    public async Task A_control_plane_that_is_out_of_reach_is_not_one_without_a_history()
    {
        using var client = new AnsweringPlanes(["istiod-1", "istiod-2", "istiod-3"], (pod, _) => pod switch
        {
            "istiod-1" => StandInAnswer.Ok("""{"cluster": "c1", "since": "2026-11-22T08:00:00Z", "changes": []}"""),
            "istiod-2" => null,
            _ => AnsweringPlanes.NoPage,
        }).Client();
        var history = await MeshHistory.AskAsync([(client, "istio-system")], new("", "", TimeSpan.FromHours(1)), TestContext.Current.CancellationToken);
        Assert.Equal("istiod-1", Assert.Single(history.ControlPlanes).Pod);
        Assert.Equal("istiod-3", Assert.Single(history.WithoutHistory).Pod);
        var silent = Assert.Single(history.Silent);
        Assert.Equal(("Pod istio-system/istiod-2", Severity.Error), (silent.Object, silent.Severity));
        Assert.EndsWith("which changes it saw is not known", silent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_two_replicas_know_from_one_earlier_Pod_is_one_change()
    {
        const string line = """
            {"first": "2026-11-22T08:00:00Z", "last": "2026-11-22T08:00:01Z", "cluster": "c1", "kind": "Service", "namespace": "shop", "name": "a",
             "verb": "created", "istiod": "istiod-0", "proxies": 3}
            """;
        var other = MeshChange.Read(StrictJson.Parse(line, ControlPlaneReports.Default.ChangeReport), "istiod-2", "c2");
        var change = Assert.Single(MergedChanges.Of([Read(line), other]));
        Assert.Equal((3, "istiod-0"), (change.Proxies, Assert.Single(change.ControlPlanes)));
    }

    [Fact]
    public void Of_what_an_earlier_Pod_still_added_to_a_change_the_newest_state_is_shown()
    {
        const string line = """{"first": "2026-11-22T08:00:00Z", "last": "LAST", "cluster": "c1", "kind": "Service", "name": "a", "verb": "changed", "istiod": "istiod-0" MORE}""";
        MeshChange Of(string last, string more) => Read(line.Replace("LAST", last, StringComparison.Ordinal).Replace("MORE", more, StringComparison.Ordinal));
        var (kept, grown) = (Of("2026-11-22T08:00:01Z", ", \"proxies\": 1"), Of("2026-11-22T08:00:30Z", ", \"count\": 3"));
        Assert.Equal(3, Assert.Single(MergedChanges.Of([kept, grown])).Count);
        Assert.Equal(3, Assert.Single(MergedChanges.Of([grown, kept])).Count);
        // The same change before and after it was pushed.
        Assert.Equal(1, Assert.Single(MergedChanges.Of([Of("2026-11-22T08:00:01Z", ""), kept])).Proxies);
        Assert.Equal(1, Assert.Single(MergedChanges.Of([kept, Of("2026-11-22T08:00:01Z", "")])).Proxies);
    }

    /// <summary>Only the webhook of one of several control planes is asked about a write: each of them counts other ones together.</summary>
    [Theory]
    [InlineData("a:1 a:3*2 b:2*2 b:3", "3*3 by alice")]
    [InlineData("a:1 a:3*2 b:2*2 b:3 c:1 c:2 c:3", "3*3 by alice")]
    [InlineData("a:1 a:2 b:1 b:2", "1*1 by alice, 2*1 by alice")]
    [InlineData("a:2*2 b:2*2", "2*2 by ")]
    [InlineData("a:3*3 b:3*2", "3*3 by ")]
    [InlineData("a:1 a:9*2 b:1 b:9*2", "1*1 by alice, 9*2 by ")]
    // Replicas that began at different times, in a row of writes that goes on.
    [InlineData("a:10*10 a:20*10 b:14*11 b:20*6", "20*20 by ")]
    [InlineData("a:x1 b:x1 b:x2*2", "x1*1 by alice, x2*2 by ")]
    public void A_change_that_control_planes_count_differently_is_shown_once(string seen, string shown)
    {
        var changes = seen.Split(' ').Select(slot => slot.Split(':', '*')).Select(slot =>
        {
            var (count, last) = (slot.Length > 2 ? int.Parse(slot[2], CultureInfo.InvariantCulture) : 1,
                int.Parse(slot[1].TrimStart('x'), CultureInfo.InvariantCulture));
            return MeshChange.Read(StrictJson.Parse($$"""
                {"first": "2026-11-22T08:00:{{last - count + 1:00}}Z", "last": "2026-11-22T08:00:{{last:00}}Z", "cluster": "c1", "kind": "Service",
                 "name": "a", "verb": "changed", "resourceVersion": "{{slot[1]}}", "count": {{count}}, "user": "{{(count == 1 ? "alice" : "")}}"}
                """, ControlPlaneReports.Default.ChangeReport), slot[0], "c1");
        });
        Assert.Equal(shown, string.Join(", ", MergedChanges.Of(changes).Select(change => $"{change.ResourceVersion}*{change.Count} by {change.User}")));
    }

    [Fact]
    public void Endpoints_name_who_scaled_or_rolled_out_their_workload_shortly_before()
    {
        var at = new DateTimeOffset(2026, 11, 22, 8, 0, 0, TimeSpan.Zero);
        var change = Endpoints(2, 0, 0) with { Name = "orders.shop.svc.cluster.local", First = at, Last = at };
        var service = JsonSerializer.Deserialize("""{"metadata": {"name": "orders", "namespace": "shop"}, "spec": {"selector": {"app": "orders"}}}""",
            KubeJson.Of<Service>())!;
        Assert.Equal(("kubectl", "2 → 0 ready: Deployment shop/orders-v1 was scaled to 0"), Named(Deployment("orders", "f:replicas", "07:59:30")));
        Assert.Equal(("kubectl", "2 → 0 ready: Deployment shop/orders-v1 was rolled out"),
            Named(Deployment("orders", "f:template", "07:59:30"), Replicas("orders-v1", "07:59:31")));
        // The time is that of any write of this manager, be it of the replicas or of a label.
        foreach (var sets in (ReplicaSet[][])[[], [Replicas("orders-v1", "07:40:00")], [Replicas("orders-v2", "07:59:31")]])
        {
            Assert.Equal(("kubectl", "2 → 0 ready: Deployment shop/orders-v1 was changed"),
                Named(Deployment("orders", "f:replicas\": {}, \"f:template", "07:59:30"), sets));
        }
        Assert.Equal(("", "2 → 0 ready"), Named(Deployment("orders", "f:replicas", "07:30:00")));
        Assert.Equal(("", "2 → 0 ready"), Named(Deployment("orders", "f:replicas", "08:00:30")));
        Assert.Equal(("", "2 → 0 ready"), Named(Deployment("others", "f:replicas", "07:59:30")));
        // Scaled up again since: only an event is left.
        var told = WorkloadWrites.Name(change, new([service],
            [new("Deployment", (JsonObject)JsonNode.Parse(Deployment("orders", "f:replicas", "08:30:00"))!)], [])
        {
            Scalings = [.. WorkloadLists.Told((JsonObject)JsonNode.Parse("""
                {"reason": "ScalingReplicaSet", "message": "Scaled down replica set orders-v1-x from 2 to 0", "lastTimestamp": "2026-11-22T07:59:58Z",
                 "involvedObject": {"kind": "Deployment", "name": "orders-v1"}}
                """)!)],
        });
        Assert.Equal(("", "2 → 0 ready: Deployment shop/orders-v1 scaled down replica set orders-v1-x from 2 to 0"), (told.FieldManager, told.Effect));

        (string, string) Named(string deployment, params ReplicaSet[] sets)
        {
            var named = WorkloadWrites.Name(change, new([service], [new("Deployment", (JsonObject)JsonNode.Parse(deployment)!)],
                [.. sets.SelectMany(WorkloadLists.Made)]));
            return (named.FieldManager, named.Effect);
        }

        static ReplicaSet Replicas(string owner, string time) => JsonSerializer.Deserialize($$$"""
            {"metadata": {"creationTimestamp": "2026-11-22T{{{time}}}Z", "ownerReferences": [{"kind": "Deployment", "name": "{{{owner}}}"}]} }
            """, KubeJson.Of<ReplicaSet>())!;

        static string Deployment(string app, string field, string time) => $$$"""
            {"metadata": {"name": "orders-v1", "namespace": "shop", "managedFields": [
             {"manager": "kubectl", "subresource": "scale", "time": "2026-11-22T{{{time}}}Z", "fieldsV1": {"f:spec": {"{{{field}}}": {} } } } ] },
             "spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "{{{app}}}" } } } } }
            """;
    }

    [Theory]
    [InlineData("f:template", "07:00:00", "08:01:01", "changed Deployment shop/orders in c1, by kubectl: was rolled out")]
    [InlineData("f:template", "07:00:00", "07:30:00", "changed Deployment shop/orders in c1, by kubectl: was changed")]
    [InlineData("f:replicas", "07:00:00", "07:30:00", "changed Deployment shop/orders in c1, by kubectl: was scaled to 0")]
    [InlineData("f:template", "08:01:00", "08:01:01", "created Deployment shop/orders in c1, by kubectl: ")]
    [InlineData("f:paused", "07:00:00", "07:30:00", "")]
    public void A_workload_that_was_written_is_a_change_of_its_own(string field, string made, string revised, string told)
    {
        var at = new DateTimeOffset(2026, 11, 22, 8, 1, 0, TimeSpan.Zero);
        var deployment = (JsonObject)JsonNode.Parse($$$"""
            {"metadata": {"name": "orders", "namespace": "shop", "creationTimestamp": "2026-11-22T{{{made}}}Z", "managedFields": [
             {"manager": "kubectl", "time": "2026-11-22T08:01:00Z", "fieldsV1": {"f:spec": {"{{{field}}}": {} } } } ] },
             "spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "orders" } } } } }
            """)!;
        var objects = new WorkloadObjects([], [new("Deployment", deployment)],
            [new("Deployment", "orders", DateTimeOffset.Parse($"2026-11-22T{revised}Z", System.Globalization.CultureInfo.InvariantCulture))]);
        Assert.Equal(told, string.Join('\n', WorkloadWrites.Of("c1", objects, at.AddMinutes(-1)).Select(change =>
            $"{change.Verb} {change.Object} in {change.Cluster}, by {change.By}: {change.Cause}")));
        Assert.Empty(WorkloadWrites.Of("c1", objects, at.AddSeconds(1)));
        Assert.All(WorkloadWrites.Of("c1", objects, at), change => Assert.Equal("shop/app=orders", change.Workloads));
    }

    [Fact]
    public async Task The_namespaces_that_changed_last_are_read_first()
    {
        var asked = new EmptyCluster();
        using var client = new KubeClient(new() { Name = "here", Server = new("https://here.test"), StandIn = asked });
        // The first one changed just now, too.
        var changes = Enumerable.Range(0, 25).Append(0).Select(i => Endpoints(1, 0, 0) with { Name = $"orders.shop-{i}.svc.cluster.local" }).ToList();
        var (clock, clients) = (new ManualClock(), new Dictionary<string, KubeClient> { ["c1"] = client });
        var lists = new WorkloadLists(clock);
        Assert.Equal(changes, await WorkloadWrites.NameAsync(changes, clients, lists, TestContext.Current.CancellationToken));
        Assert.Equal(Enumerable.Range(6, 19).Append(0).Select(i => $"shop-{i}").Order(StringComparer.Ordinal),
            asked.Paths.Select(path => path.Split('/')[^2]).Distinct().Order(StringComparer.Ordinal));
        // Who asks again soon gets what was read.
        var first = asked.Paths.Count;
        await WorkloadWrites.NameAsync(changes, clients, lists, TestContext.Current.CancellationToken);
        Assert.Equal(first, asked.Paths.Count);
        clock.Advance(TimeSpan.FromMinutes(1));
        await WorkloadWrites.NameAsync(changes, clients, lists, TestContext.Current.CancellationToken);
        Assert.Equal(2 * first, asked.Paths.Count);
    }

    /// <summary>What a user may not read stays empty, and is not asked for each time.</summary>
    [Theory]
    [InlineData(500, false)]
    [InlineData(429, false)]
    [InlineData(403, true)]
    public async Task Lists_that_failed_for_a_moment_are_read_again(int code, bool isKept)
    {
        var asked = new EmptyCluster { Code = code };
        using var client = new KubeClient(new() { Name = "here", Server = new("https://here.test"), StandIn = asked });
        var lists = new WorkloadLists(new ManualClock());
        var stop = TestContext.Current.CancellationToken;
        Assert.Empty((await lists.OfAsync(client, "c1", "shop", stop)).Services);
        var first = asked.Paths.Count;
        asked.Code = 200;
        await lists.OfAsync(client, "c1", "shop", stop);
        Assert.Equal(isKept, first == asked.Paths.Count);
        var second = asked.Paths.Count;
        await lists.OfAsync(client, "c1", "shop", stop);
        Assert.Equal(second, asked.Paths.Count);
    }

    [Theory]
    [InlineData("StatefulSet", "f:replicas", "", "StatefulSet shop/orders-v1 was scaled to 0")]
    [InlineData("StatefulSet", "f:template", "StatefulSet", "StatefulSet shop/orders-v1 was rolled out")]
    [InlineData("DaemonSet", "f:template", "DaemonSet", "DaemonSet shop/orders-v1 was rolled out")]
    [InlineData("DaemonSet", "f:template", "StatefulSet", "DaemonSet shop/orders-v1 was changed")]
    public void Endpoints_name_who_changed_other_workloads_as_well(string kind, string field, string revisionOf, string cause)
    {
        var at = new DateTimeOffset(2026, 11, 22, 8, 0, 0, TimeSpan.Zero);
        var change = Endpoints(2, 0, 0) with { Name = "orders.shop.svc.cluster.local", First = at, Last = at };
        var service = JsonSerializer.Deserialize("""{"metadata": {"name": "orders", "namespace": "shop"}, "spec": {"selector": {"app": "orders"}}}""",
            KubeJson.Of<Service>())!;
        var workload = (JsonObject)JsonNode.Parse($$$"""
            {"metadata": {"name": "orders-v1", "namespace": "shop", "managedFields": [
             {"manager": "kubectl", "time": "2026-11-22T07:59:30Z", "fieldsV1": {"f:spec": {"{{{field}}}": {} } } } ] },
             "spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "orders" } } } } }
            """)!;
        var named = WorkloadWrites.Name(change, new([service], [new(kind, workload)], [new(revisionOf, "orders-v1", at.AddSeconds(-29))]));
        Assert.Equal(("kubectl", cause), (named.FieldManager, named.Cause));
    }

    /// <summary>API servers ask before they write: what failed afterwards, or what somebody made up, is not told.</summary>
    [Theory]
    [InlineData("scaled", "07:59:59", 0, true)]
    [InlineData("scaled", "07:00:00", 0, true)] // the replicas are what was asked for
    [InlineData("scaled", "07:00:00", 3, false)]
    [InlineData("scaled", "08:30:00", 3, true)] // somebody scaled it again
    [InlineData("deleted", "07:00:00", 3, false)]
    [InlineData("deleted going", "07:00:00", 3, true)]
    [InlineData("deleted again", "07:00:00", 3, true)]
    public void What_a_workload_contradicts_is_not_believed(string asked, string written, int replicas, bool isBelieved)
    {
        var at = new DateTimeOffset(2026, 11, 22, 8, 0, 0, TimeSpan.Zero);
        var change = Told(asked.Split(' ')[0], at);
        var deployment = (JsonObject)JsonNode.Parse($$$"""
            {"metadata": {"name": "orders", "namespace": "shop", "creationTimestamp": "2026-11-22T{{{(asked.EndsWith("again", StringComparison.Ordinal) ? "08:10" : "06:00")}}}:00Z",
             "managedFields": [{"manager": "kubectl", "time": "2026-11-22T{{{written}}}Z", "fieldsV1": {"f:spec": {"f:replicas": {} } } } ] }, "spec": {"replicas": {{{replicas}}} } }
            """)!;
        if (asked.EndsWith("going", StringComparison.Ordinal)) deployment["metadata"]!["deletionTimestamp"] = "2026-11-22T08:00:00Z";
        var objects = new WorkloadObjects([], [new("Deployment", deployment)], []);
        var believed = ToldWrites.Believed([change], _ => objects);
        Assert.Equal(isBelieved, believed.Count == 1);
        if (isBelieved && written == "07:59:59") Assert.Equal("kubectl (user alice, not proven)", believed[0].By);
    }

    /// <summary>Without the objects, only an API server that has proven itself is believed.</summary>
    [Theory]
    [InlineData(true, true, true)]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    [InlineData(false, false, false)]
    public void Where_no_object_can_say_so_only_a_proven_user_is_believed(bool areKnown, bool isProven, bool isBelieved)
    {
        var change = Told("deleted", DateTimeOffset.UnixEpoch) with { IsUserProven = isProven };
        Assert.Equal(isBelieved, ToldWrites.Believed([change], _ => new([], [], []) { AreWorkloadsKnown = areKnown }).Count == 1);
        Assert.Equal(isProven, ToldWrites.Believed([change], _ => null).Count == 1);
    }

    [Fact]
    public void Endpoints_name_who_deleted_or_scaled_their_workload()
    {
        var at = new DateTimeOffset(2026, 11, 22, 8, 0, 0, TimeSpan.Zero);
        var change = Endpoints(3, 0, 0) with { Name = "orders.shop.svc.cluster.local", First = at.AddSeconds(1), Last = at.AddSeconds(1) };
        var service = JsonSerializer.Deserialize("""{"metadata": {"name": "orders", "namespace": "shop"}, "spec": {"selector": {"app": "orders"}}}""",
            KubeJson.Of<Service>())!;
        var objects = new WorkloadObjects([service], [], []);
        Assert.Equal(("user alice, not proven", "3 → 0 ready: Deployment shop/orders was deleted"), Named(Told("deleted", at)));
        Assert.Equal(("user alice, not proven", "3 → 0 ready: Deployment shop/orders was scaled from 3 to 0"), Named(Told("scaled", at)));
        Assert.Equal(("", "3 → 0 ready"), Named(Told("deleted", at.AddMinutes(-10))));
        Assert.Equal(("", "3 → 0 ready"),
            Named(Told("deleted", at) with { Selected = ("shop", new Dictionary<string, string> { ["app"] = "cart" }.ToValueMap()) }));

        // What takes Pods away does not bring them: somebody else scaled it up again.
        change = change with { ReadyEndpoints = (0, 0, 3) };
        Assert.Equal(("", "0 → 3 ready"), Named(Told("scaled", at)));
        Assert.Equal(("", "0 → 3 ready"), Named(Told("deleted", at)));
        Assert.Equal(("user alice, not proven", "0 → 3 ready: Deployment shop/orders was scaled from 0 to 3"),
            Named(Told("scaled", at) with { Scaling = (0, 3), Cause = "was scaled from 0 to 3" }));

        (string, string) Named(MeshChange told) => WorkloadWrites.Name(change, objects, told) is var named ? (named.By, named.Effect) : default;
    }

    private static MeshChange Told(string what, DateTimeOffset at) => Read($$$"""
        {"cluster": "c1", "kind": "Deployment", "namespace": "shop", "name": "orders", "user": "alice", "userProven": false,
         "workloads": {"namespace": "shop", "labels": {"app": "orders"} }, {{{(what == "scaled" ? "\"verb\": \"changed\", \"scaling\": {\"before\": 3, \"after\": 0}" : "\"verb\": \"deleted\"")}}} }
        """) with { First = at, Last = at };

    private sealed class EmptyCluster : ClusterStandIn
    {
        internal ConcurrentQueue<string> Paths { get; } = [];

        /// <summary>What it answers about Services.</summary>
        internal int Code { get; set; } = 200;

        public override DateTimeOffset TakenAt => DateTimeOffset.UnixEpoch;

        public override StandInAnswer Ask(string path)
        {
            Paths.Enqueue(path.Split('?')[0]);
            if (Code != 200 && path.Contains("/services", StringComparison.Ordinal)) return StandInAnswer.Refused(Code, "", "not now");
            return StandInAnswer.Ok("""{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}""");
        }

        public override StandInAnswer AskPod(string ns, string pod, int port, PodRequest request) => throw new HttpRequestException("connection refused");
    }

    [Fact]
    public void A_cluster_that_left_names_its_secret_where_that_was_and_what_is_lost()
    {
        var left = Read(
            """{"cluster": "c1", "kind": "Cluster", "name": "c1", "verb": "left", "secret": "istio-system/istio-remote-secret-c1", "services": 5, "proxies": 0}""");
        Assert.Equal(("connection to c1", "c2", "Secret istio-system/istio-remote-secret-c1 is gone, so 5 services of c1 are no longer known"),
            (left.Object, left.Cluster, left.Effect));
        Assert.Equal(("istio-system/istio-remote-secret-c1", 5), (HistoryTree.Of(left)["secret"]!.ToString(), (int)HistoryTree.Of(left)["services"]!));
    }

    [Theory]
    [InlineData(1, 1, 1, "")]
    [InlineData(1, 0, 1, "1 → 1 ready, meanwhile 0")]
    [InlineData(2, 1, 1, "2 → 1 ready")]
    [InlineData(1, 1, 2, "1 → 2 ready")]
    public void Endpoints_are_a_line_if_their_number_changed(int before, int fewest, int after, string effect)
    {
        var lines = MergedChanges.Of([Endpoints(before, fewest, after)]);
        Assert.Equal(effect, string.Join("; ", lines.Select(line => line.Effect)));
        Assert.All(lines, line => Assert.Equal("c1", line.Cluster));
    }
}
