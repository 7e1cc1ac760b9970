using System.Text;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Metrics;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>What the control plane counts of its proxies.</summary>
public sealed class ControlMetricsTests
{
    private static readonly ProxyIdentity Identity = new(
        ProxyKind.Sidecar, "client", MeshRig.Namespace, "shop.svc.cluster.local", "c1", "net-c1", default, [Address.Parse("10.244.0.7")], default, "default",
        "client", "node", "REDIRECT", true, false, "", "", Locality.Unknown);

    private readonly ControlMetrics _metrics = new();
    private readonly ManualClock _clock = new();
    private readonly ProxyFeed _feed;

    public ControlMetricsTests() => _feed = new(Identity, _clock, _ => { }, _metrics);

    [Fact]
    public void Pushes_and_rejects_are_counted_by_type()
    {
        Sent(TypeUrls.Cluster, "1");
        Sent(TypeUrls.Cluster, "2");
        Sent(TypeUrls.Listener, "3");
        _feed.Observe(new(XdsEventKind.Rejected, TypeUrls.Listener, "3", "v", 0, "no such filter"));
        Assert.Equal(["pilot_xds_pushes{type=\"cds\"} 2", "pilot_xds_pushes{type=\"lds\"} 1", "pilot_total_xds_rejects{type=\"lds\"} 1"],
            Lines("pilot_xds_pushes", "pilot_total_xds_rejects"));
    }

    [Fact]
    public void Changes_are_counted_by_what_changed()
    {
        var changes = new MeshChanges { Settings = true };
        changes.Endpoints.UnionWith(["a.shop", "b.shop"]);
        _metrics.Changed(changes);
        _metrics.Triggered(changes);
        changes = new MeshChanges { Networks = true };
        changes.Services.Add("a.shop");
        changes.Reads.Add(new(Isthmus.Mesh.Resolve.MeshPart.Nodes, "node"));
        _metrics.Changed(changes);
        _metrics.Triggered(changes);
        Assert.Equal(
            ["pilot_push_triggers{type=\"config\"} 1", "pilot_push_triggers{type=\"endpoint\"} 1", "pilot_push_triggers{type=\"networks\"} 1",
                "pilot_push_triggers{type=\"proxy\"} 1", "pilot_push_triggers{type=\"service\"} 1",
                "pilot_inbound_updates{type=\"config\"} 1", "pilot_inbound_updates{type=\"eds\"} 2", "pilot_inbound_updates{type=\"svc\"} 1"],
            Lines("pilot_push_triggers", "pilot_inbound_updates"));
    }

    [Fact]
    public void A_change_has_converged_when_the_proxy_accepted_all_of_it()
    {
        Change();
        Sent(TypeUrls.Cluster, "1");
        Sent(TypeUrls.Listener, "2");
        _clock.Advance(TimeSpan.FromSeconds(2));
        Accepted(TypeUrls.Cluster, "1");
        Assert.Contains("pilot_proxy_convergence_time_count 0", Lines("pilot_proxy_convergence_time"));
        _clock.Advance(TimeSpan.FromSeconds(2));
        Accepted(TypeUrls.Listener, "2");
        Assert.Equal(
            ["le=\"0.1\"} 0", "le=\"0.5\"} 0", "le=\"1\"} 0", "le=\"3\"} 0", "le=\"5\"} 1", "le=\"10\"} 1", "le=\"20\"} 1", "le=\"30\"} 1", "le=\"+Inf\"} 1",
                "pilot_proxy_convergence_time_sum 4", "pilot_proxy_convergence_time_count 1"],
            Lines("pilot_proxy_convergence_time").Select(line => line[(line.IndexOf('{', StringComparison.Ordinal) + 1)..]));
    }

    [Fact]
    public void A_change_that_does_not_concern_a_proxy_does_not_count()
    {
        Change();
        _clock.Advance(TimeSpan.FromHours(1));
        Change();
        Sent(TypeUrls.Cluster, "1");
        Accepted(TypeUrls.Cluster, "1");
        Assert.Contains("pilot_proxy_convergence_time_sum 0", Lines("pilot_proxy_convergence_time"));
        Assert.Contains("pilot_proxy_convergence_time_count 1", Lines("pilot_proxy_convergence_time"));
    }

    [Fact]
    public void Times_of_responses_are_counted_by_type()
    {
        Change();
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.NotNull(_feed.Newer(null));
        Sent(TypeUrls.Cluster, "1");
        Sent(TypeUrls.Listener, "2");
        _feed.Written(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
        _feed.Written(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3));
        Assert.Equal(
            ["pilot_proxy_queue_time_sum 2", "pilot_xds_push_time_sum{type=\"cds\"} 2", "pilot_xds_push_time_sum{type=\"lds\"} 4", "pilot_xds_send_time_sum 4"],
            Lines("pilot_proxy_queue_time_sum", "pilot_xds_push_time_sum", "pilot_xds_send_time_sum"));
        Assert.Contains("pilot_xds_push_time_bucket{type=\"lds\",le=\"3\"} 0", Lines("pilot_xds_push_time_bucket"));
        Assert.Contains("pilot_xds_push_time_bucket{type=\"lds\",le=\"5\"} 1", Lines("pilot_xds_push_time_bucket"));
    }

    [Fact]
    public void A_proxy_that_rejects_resources_is_named_until_it_accepts_them()
    {
        Sent(TypeUrls.Cluster, "1");
        _feed.Observe(new(XdsEventKind.Rejected, TypeUrls.Cluster, "1", "v", 0, "no such policy"));
        Assert.Contains($"pilot_xds_cds_reject{{node=\"{Identity.Id}\"}} 1\n", Rejects(), StringComparison.Ordinal);
        Assert.DoesNotContain("pilot_xds_lds_reject{", Rejects(), StringComparison.Ordinal);
        Sent(TypeUrls.Cluster, "2");
        Accepted(TypeUrls.Cluster, "2");
        Assert.DoesNotContain("pilot_xds_cds_reject{", Rejects(), StringComparison.Ordinal);

        string Rejects()
        {
            var text = new StringBuilder();
            ControlMetrics.WriteRejects(text, _feed.RejectedTypes);
            return text.ToString();
        }
    }

    private void Change() => _feed.Offer(XdsSnapshot.Empty, _clock.GetUtcNow());

    private void Sent(string type, string nonce) => _feed.Observe(new(XdsEventKind.Sent, type, nonce, "v", 1, ""));

    private void Accepted(string type, string nonce) => _feed.Observe(new(XdsEventKind.Acknowledged, type, nonce, "v", 0, ""));

    private List<string> Lines(params string[] names)
    {
        var text = new StringBuilder();
        _metrics.Write(text);
        return [.. text.ToString().Split('\n').Where(line => names.Any(name => line.StartsWith(name, StringComparison.Ordinal)))];
    }
}
