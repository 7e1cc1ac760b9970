using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Operate.Diagnose;
using Isthmus.Reports;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>The text of pages stays as released control planes have it, and those of other releases, and of Istio, are read.</summary>
public sealed class ControlPlaneReportTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 31, 12, 0, 0, 250, TimeSpan.Zero);

    private static readonly ControlPlaneReports Pages = ControlPlaneReports.Default;

    [Fact]
    public void A_change_has_what_is_known_of_it() => Assert.Equal(
        """
        {"cluster":"c1","istiod":"istiod-1","now":"2026-01-31T12:00:00.250Z","since":null,"forgotten":2,"changes":[{"first":"2026-01-31T12:00:00.250Z",
        "last":"2026-01-31T12:00:00.250Z","count":3,"cluster":"c1","kind":"VirtualService","namespace":"shop","name":"web","verb":"changed",
        "resourceVersion":"7","generation":2,"fieldManager":"kubectl","written":"2026-01-31T12:00:00.250Z","user":"ann","userProven":false,
        "everything":true,"gateways":true,"hosts":["web.shop"],"workloads":{"namespace":"shop","labels":{"app":"web"}},"secret":"istio-system/c2",
        "services":4,"endpoints":{"before":{"ready":1,"total":2},"fewest":{"ready":0,"total":1},"after":{"ready":2,"total":2}},"proxies":5,
        "changesInPush":2,"resources":{"route":{"proxies":5,"count":1,"names":["80"]}}}]}
        """.ReplaceLineEndings(""), JsonSerializer.Serialize(new("c1", "istiod-1")
        {
            Now = At, Forgotten = 2, Changes =
            [
                new()
                {
                    First = At, Last = At, Count = 3, Cluster = "c1", Kind = "VirtualService", Namespace = "shop", Name = "web", Verb = "changed",
                    ResourceVersion = "7", Generation = 2, FieldManager = "kubectl", Written = At, User = "ann", UserProven = false, Everything = true,
                    Gateways = true, Hosts = ["web.shop"], Workloads = new("shop", new() { ["app"] = "web" }), Secret = "istio-system/c2", Services = 4,
                    Endpoints = new(new(1, 2), new(0, 1), new(2, 2)), Proxies = 5, ChangesInPush = 2, Resources = new() { ["route"] = new(5, 1, ["80"]) },
                },
            ],
        }, Pages.HistoryReport));

    [Fact]
    public void A_preview_says_what_is_not_there_before_or_after()
    {
        Assert.Equal("""{"cluster":"c1","objects":[{"kind":"Service"}]}""",
            JsonSerializer.Serialize(new("c1", [new JsonObject { ["kind"] = "Service" }]), Pages.PreviewQuestion));
        Assert.Equal(
            """
            {"cluster":"c1","istiod":"istiod-1","connected":3,"groups":[{"proxies":[{"cluster":"c1","namespace":"shop","pod":"web-1","workload":"web",
            "kind":"sidecar"}],"resources":[{"type":"route","name":"80","before":null,"after":{"name":"80"}}],"more":9}],"unused":["Service shop/x"]}
            """.ReplaceLineEndings(""), JsonSerializer.Serialize(new("c1", "istiod-1", 3,
            [
                new([new("c1", "shop", "web-1", "web", "sidecar")], [new("route", "80") { After = new() { ["name"] = "80" } }], 9),
            ], ["Service shop/x"]), Pages.PreviewReport));
    }

    [Fact]
    public void A_watched_cluster_says_where_its_state_is_from()
    {
        Assert.Equal(
            """
            [{"id":"c2","secretName":"istio-system/c2","syncStatus":"synced","revision":"","source":"memory","lastContact":"2026-01-31T12:00:00.2500000Z",
            "confirmed":"2026-01-31T12:00:00.2500000Z","snapshot":{"confirmed":"2026-01-31T12:00:00.2500000Z","bytes":12},
            "credentialsExpire":"2026-01-31T12:00:00.2500000Z","warning":"w","message":"m"}]
            """.ReplaceLineEndings(""), JsonSerializer.Serialize(
            [
                new()
                {
                    Id = "c2", SecretName = "istio-system/c2", SyncStatus = "synced", Revision = "", Source = "memory", LastContact = At, Confirmed = At,
                    Snapshot = new() { Confirmed = At, Bytes = 12 }, CredentialsExpire = At, Warning = "w", Message = "m",
                },
            ], Pages.Watched));
        Assert.Equal("""{"connected":true,"clusters":{"c1":{"source":"live","confirmed":null}},"addresses":{"10.0.0.1":["c1"]}}""",
            JsonSerializer.Serialize(new(true, new() { ["c1"] = new("live") }, new() { ["10.0.0.1"] = ["c1"] }), Pages.SourcesReport));
        Assert.Equal("""{"observed":true,"published":false,"proxies":[{"proxy":"web.shop","cluster_id":"c1","state":"STALE"}]}""",
            JsonSerializer.Serialize(new(true, false, [new("web.shop", "c1", "STALE")]), Pages.DistributionReport));
    }

    [Fact]
    public void A_proxy_has_versions_of_each_type_and_what_it_refuses()
    {
        var text = JsonSerializer.Serialize(
        [
            new()
            {
                ClusterId = "c1", Proxy = "web.shop", ProxyType = "Sidecar", IstioVersion = "1.31.0", Since = At, Program = "isthmus", Problems = ["ISM1 a"],
                Losses = [new("c", "t", "why")], ClusterSent = "1", ClusterAcked = "1", ListenerSent = "2", ListenerAcked = "1", ListenerError = "no",
            },
        ], Pages.Sync);
        Assert.Equal(
            """
            [{"cluster_id":"c1","proxy":"web.shop","proxy_type":"Sidecar","istio_version":"1.31.0","since":"2026-01-31T12:00:00.2500000\u002B00:00",
            "program":"isthmus","problems":["ISM1 a"],"losses":[{"counter":"c","target":"t","cause":"why"}],"cluster_sent":"1","cluster_acked":"1",
            "listener_sent":"2","listener_acked":"1","listener_error":"no"}]
            """.ReplaceLineEndings(""), text);
        var read = Assert.Single(StrictJson.Parse(text, Pages.Sync));
        Assert.Equal(new TypeSync("2", "1", "no"), read.Of("listener"));
        Assert.Equal(default, read.Of("route"));
        var foreign = Assert.Single(StrictJson.Parse(
            """[{"proxy": "a.b", "route_sent": "x", "resources": {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration": {"lastError": "bad"}}}]""",
            Pages.Sync));
        Assert.Equal((null, new TypeSync("x", null, "bad")), (foreign.Since, foreign.Of("route")));
    }

    /// <summary>Older control planes lack fields, newer ones have more, and an answer that is no page at all is no answer, with the reason.</summary>
    [Fact]
    public void Control_planes_of_other_releases_are_read()
    {
        var old = Plane("""{"changes": [{"kind": "Service", "novelty": {"a": 1}}], "more": 1}""").As(Pages.HistoryReport);
        Assert.Equal(("", "Service", (int?)null), (old.Page!.Cluster, old.Page.Changes![0].Kind, old.Page.Changes[0].Proxies));
        Assert.Empty(Plane("[]").AsList(Pages.ProblemReport).Page!);
        Assert.Equal("", Plane("""[{"code": "ISM1001"}]""").AsList(Pages.ProblemReport).Page![0].Remedy);
        var odd = Plane("""{"changes": 7}""").As(Pages.HistoryReport);
        Assert.Null(odd.Page);
        Assert.StartsWith("answers in a form that this program does not read (", odd.Plane.Why, StringComparison.Ordinal);
        Assert.False(odd.Plane.IsForeign);
    }

    [Fact]
    public void An_item_of_another_form_hides_no_other()
    {
        var read = Plane("""[{"code": "ISM1001"}, {"code": 7}, null, {"code": "ISM1002"}]""").AsList(Pages.ProblemReport);
        Assert.Equal(["ISM1001", "ISM1002"], read.Page!.Select(one => one.Code));
        Assert.Equal(2, Assert.IsType<JsonArray>(read.Plane.Answer).Count);
        Assert.StartsWith("answers 2 items in a form that this program does not read (item 1: ", read.Silent!.Why, StringComparison.Ordinal);
        Assert.Null(Plane("{}").AsList(Pages.ProblemReport).Silent);
        var odd = Plane("""{"code": "ISM1001"}""").AsList(Pages.ProblemReport);
        Assert.Null(odd.Page);
        Assert.Equal("answers in a form that this program does not read (it is not a list)", odd.Silent!.Why);
    }

    private static PlaneAnswer Plane(string text) => new("istiod-1", "", StrictJson.Parse(text));
}
