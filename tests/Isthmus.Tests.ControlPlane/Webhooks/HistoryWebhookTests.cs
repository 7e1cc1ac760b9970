using System.Net;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Core.Collections;
using Isthmus.Graph.History;
using Isthmus.Graph.Metrics;
using Isthmus.Mesh.Model;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Webhooks;

/// <summary>What reviews of deletions and scalings leave in the history.</summary>
public sealed class HistoryWebhookTests
{
    private const string Autoscaler = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";

    private const string Deployment =
        """{"metadata": {"name": "cart", "namespace": "shop"}, "spec": {"replicas": N, "template": {"metadata": {"labels": {"app": "cart"}}}}}""";

    private const string Scale =
        """{"kind": "Scale", "metadata": {"name": "cart", "namespace": "shop"}, "spec": {"replicas": N}, "status": {"selector": "app=cart,tier in (a),version=v1"}}""";

    private readonly ManualClock _clock = new();
    private readonly ChangeHistory _history;
    private readonly HistoryWebhook _webhook;

    public HistoryWebhookTests()
    {
        _history = new(_clock);
        _history.Start([]);
        _webhook = new("c1", cluster => cluster is "c2" or "a/b", _history,
            new(new(), null, (IPAddress _) => null, new ControlMetrics(), _clock, NullLogger<ReviewCallers>.Instance));
    }

    [Theory]
    [InlineData("deployments", Deployment, "shop/app=cart")]
    [InlineData("statefulsets", Scale, "shop/app=cart,version=v1")]
    public void A_scaling_is_a_change_with_its_user(string resource, string item, string concerned)
    {
        Ask("UPDATE", "apps", resource, Item(item, 0), Item(item, 3));
        var change = Assert.Single(_history.After(default)).Change;
        Assert.Equal((ChangeVerb.Changed, new Scaling(3, 0), new Writer("alice", true)), (change.Verb, change.Scaling, change.User));
        Assert.Equal(concerned, $"{change.Reach.Namespace}/{string.Join(',', change.Reach.Selector.Items.Select(label => $"{label.Key}={label.Value}"))}");
        // An API server that met another write asks again.
        Ask("UPDATE", "apps", resource, Item(item, 0), Item(item, 3));
        Assert.Single(_history.After(default));
        Ask("UPDATE", "apps", resource, Item(item, 3), Item(item, 0), user: "bob");
        Assert.Equal(["alice", "bob"], _history.After(default).Select(one => one.Change.User.Name));
    }

    [Theory]
    [InlineData("UPDATE", "apps", "deployments", 3, 3, false)] // only its template changed
    [InlineData("UPDATE", "apps", "replicasets", 3, 0, false)]
    [InlineData("UPDATE", "apps", "deployments", 3, 0, true)]
    [InlineData("CREATE", "apps", "deployments", 3, 0, false)]
    [InlineData("UPDATE", "", "", 3, 0, false)]
    public void Other_writes_and_dry_runs_leave_nothing(string operation, string group, string resource, int before, int after, bool isDry)
    {
        Assert.True(Ask(operation, group, resource, Item(Deployment, after), Item(Deployment, before), isDry: isDry).Allowed);
        Assert.True(Ask("DELETE", "apps", "deployments", null, Item(Deployment, 3), isDry: true).Allowed);
        Assert.Empty(_history.After(default));
    }

    [Theory]
    [InlineData("alice", true, "alice", true)]
    [InlineData("alice", false, "alice", false)]
    [InlineData("", true, "", false)]
    public void A_watched_object_that_is_gone_names_who_deleted_it(string user, bool isProven, string known, bool isKnownProven)
    {
        Ask("DELETE", "networking.istio.io", "virtualservices", null, Item("""{"metadata": {"name": "web", "namespace": "shop"}}"""), user, isProven);
        Assert.Empty(_history.After(default));
        Gone("VirtualService", "web");
        Assert.Equal(new Writer(known, isKnownProven), Assert.Single(_history.After(default)).Change.User);
        // The next one of this name is another object.
        _clock.Advance(TimeSpan.FromMinutes(2));
        Gone("VirtualService", "web");
        Assert.Equal("", _history.After(default)[^1].Change.User.Name);
    }

    [Fact]
    public void Kinds_of_one_name_and_clusters_are_not_mistaken_for_each_other()
    {
        Ask("DELETE", "gateway.networking.k8s.io", "gateways", null, Item("""{"metadata": {"name": "web", "namespace": "shop"}}"""));
        Gone("Gateway", "web");
        Gone("Gateway.gateway.networking.k8s.io", "web", "c2");
        Gone("Gateway.gateway.networking.k8s.io", "web");
        Assert.Equal(["", "", "alice"], _history.After(default).Select(one => one.Change.User.Name));
    }

    [Fact]
    public void A_name_does_not_outlive_its_deletion_and_of_two_that_are_not_proven_none_counts()
    {
        var service = Item("""{"metadata": {"name": "web", "namespace": "shop"}}""");
        Ask("DELETE", "", "services", null, service);
        _clock.Advance(TimeSpan.FromMinutes(6));
        Gone("Service", "web");
        Assert.Equal("", _history.After(default)[^1].Change.User.Name);
        Ask("DELETE", "", "services", null, service, "alice", isProven: false);
        Ask("DELETE", "", "services", null, service, "mallory", isProven: false);
        Gone("Service", "web");
        Assert.Equal("", _history.After(default)[^1].Change.User.Name);
        // Whoever asks for it again while finalizers keep it has not deleted it.
        Ask("DELETE", "", "services", null, service);
        Ask("DELETE", "", "services", null, Item("""{"metadata": {"name": "web", "namespace": "shop", "deletionTimestamp": "2026-11-22T08:00:00Z"}}"""), "bob");
        Gone("Service", "web");
        Assert.Equal("alice", _history.After(default)[^1].Change.User.Name);
    }

    [Fact]
    public void A_Namespace_is_known_by_its_name_alone()
    {
        // API servers name a Namespace as its own.
        Ask("DELETE", "", "namespaces", null, Item("""{"metadata": {"name": "shop"}}"""));
        _history.Note(new(new("c1", "Namespace", "", "shop"), ChangeVerb.Deleted, Reach.OfHosts()));
        Assert.Equal("alice", Assert.Single(_history.After(default)).Change.User.Name);
    }

    [Fact]
    public void Clusters_that_left_name_who_deleted_their_remote_secret()
    {
        Ask("DELETE", "", "secrets", null, Item("""{"metadata": {"name": "remote", "namespace": "shop"}}"""));
        foreach (var cluster in (string[])["c2", "c3"])
            _history.Note(new(new(cluster, "Cluster", "", cluster), ChangeVerb.Left, Reach.Everything) { Departure = new("shop/remote", 3) });
        Assert.Equal(["alice", "alice"], _history.After(default).Select(one => one.Change.User.Name));
    }

    /// <summary>An autoscaler must not push out what people do.</summary>
    [Fact]
    public void Scalings_do_not_push_out_other_changes()
    {
        _history.Note(new(new("c1", "VirtualService", "shop", "web"), ChangeVerb.Created, Reach.OfHosts("a")));
        for (var i = 0; i < 2000; i++)
        {
            _clock.Advance(TimeSpan.FromSeconds(30));
            Ask("UPDATE", "apps", "deployments", Item(Deployment, (i + 1) % 2), Item(Deployment, i % 2), Autoscaler);
        }
        var known = _history.After(default);
        Assert.Equal("web", known[0].Change.Source.Name);
        Assert.Equal((501, 1500), (known.Count, _history.Forgotten));
    }

    [Theory]
    [InlineData("/history", "c1")]
    [InlineData("/history/cluster/c2", "c2")]
    [InlineData("/history/cluster/a--slash--b", "a/b")]
    [InlineData("/history/cluster/c9", null)]
    public void API_servers_of_remote_clusters_name_their_cluster(string path, string? cluster)
    {
        _webhook.Answer(new("1", "shop", "DELETE", null, Item(Deployment, 3)) { Group = "apps", Resource = "deployments", User = "alice" }, path);
        Assert.Equal(cluster, _history.After(default).SingleOrDefault()?.Change.Source.Cluster);
    }

    private void Gone(string kind, string name, string cluster = "c1") =>
        _history.Note(new(new(cluster, kind, "shop", name), ChangeVerb.Deleted, Reach.OfHosts()));

    private AdmissionAnswer Ask(string operation, string group, string resource, JsonObject? item, JsonObject? old, string user = "alice", bool isProven = true,
        bool isDry = false) => _webhook.Answer(new("1", "shop", operation, item, old)
        {
            Group = group, Resource = resource, User = user, IsProven = isProven, IsDryRun = isDry,
        });

    private static JsonObject Item(string text, int replicas = 0) =>
        JsonNode.Parse(text.Replace("N}", $"{replicas}}}", StringComparison.Ordinal).Replace("N,", $"{replicas},", StringComparison.Ordinal))!.AsObject();
}
