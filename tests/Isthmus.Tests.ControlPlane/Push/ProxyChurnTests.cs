using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>A change causes work only for the proxies that it concerns, measured in resolved scopes.</summary>
public sealed class ProxyChurnTests
{
    private readonly MeshRig _rig = new("c1", "c2");
    private readonly List<ProxyFeed> _proxies;

    public ProxyChurnTests()
    {
        _rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        _proxies = [.. Enumerable.Range(0, 20).Select(i => _rig.Sidecar("c1", $"client-{i}", $"10.244.1.{i + 1}")), _rig.Sidecar("c2"),
            _rig.Sidecar("c1", "guest", "10.244.2.1", ns: "other")];
        _rig.Push();
    }

    [Fact]
    public void A_Pod_without_a_proxy_concerns_nobody() => Assert.Equal(0, ResolvedBy(() => _rig.Pod("c1", "batch", "batch-1", "10.244.3.1")));

    [Fact]
    public void A_Pod_concerns_its_own_proxy_alone()
    {
        Assert.Equal(1, ResolvedBy(() => _rig.Pod("c1", "orders", "client-3", "10.244.1.4")));
        Assert.Contains("8080", Inbound(_proxies[3]), StringComparison.Ordinal);
        Assert.DoesNotContain("8080", Inbound(_proxies[4]), StringComparison.Ordinal);
        Assert.Equal(1, ResolvedBy(() => _rig.Writer.Remove("c1", Kinds.Pod, MeshRig.Namespace, "client-3")));
        Assert.DoesNotContain("8080", Inbound(_proxies[3]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_Service_concerns_the_proxies_of_its_namespace_and_cluster() =>
        Assert.Equal(20, ResolvedBy(() => _rig.Service("c1", "new", "10.96.0.11")));

    [Fact]
    public void A_Node_concerns_the_proxies_on_it_where_localities_matter()
    {
        Assert.Equal(0, ResolvedBy(() => _rig.Writer.Put("c2", new Node { Metadata = new() { Name = "node" } })));
        _rig.Config("{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: x, namespace: shop}, spec: {host: orders, trafficPolicy: "
            + "{outlierDetection: {consecutive5xxErrors: 2}}}}");
        _rig.Push();
        Assert.Equal(1,
            ResolvedBy(() => _rig.Writer.Put("c2",
                new Node { Metadata = new() { Name = "node", Labels = { ["topology.kubernetes.io/region"] = "elsewhere" } } })));
        Assert.Equal(0, ResolvedBy(() => _rig.Writer.Put("c1", new Node { Metadata = new() { Name = "other" } })));
    }

    [Fact]
    public void A_policy_concerns_its_namespace_and_one_of_the_root_namespace_everybody()
    {
        Assert.Equal(1,
            ResolvedBy(() => _rig.Config("{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: none, namespace: other}, spec: {}}")));
        Assert.Equal(22,
            ResolvedBy(
                () => _rig.Config("{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: none, namespace: istio-system}, spec: {}}")));
    }

    [Fact]
    public void Endpoints_concern_no_scope() =>
        Assert.Equal(0, ResolvedBy(() => _rig.Slice("c1", "orders", 8080, "http", ("!orders-10.244.0.1", "10.244.0.1"))));

    [Fact]
    public void A_change_in_one_cluster_leaves_what_is_kept_of_the_others()
    {
        var before = _rig.Writer.Revisions.ByCluster;
        _rig.Pod("c1", "batch", "batch-1", "10.244.3.1");
        _rig.Push();
        var after = _rig.Writer.Revisions.ByCluster;
        Assert.True(after["c1"] > before["c1"]);
        Assert.Equal(before["c2"], after["c2"]);

        _rig.Writer.Remove("c2", Kinds.Node, "", "node");
        _rig.Push();
        Assert.True(_rig.Writer.Revisions.ByCluster["c2"] > after["c2"]);
        Assert.Equal(after["c1"], _rig.Writer.Revisions.ByCluster["c1"]);
    }

    [Fact]
    public void A_proxy_that_leaves_is_no_longer_resolved()
    {
        _rig.Publisher.Leave(_proxies[3]);
        Assert.Equal(0, ResolvedBy(() => _rig.Pod("c1", "orders", "client-3", "10.244.1.4")));
    }

    private long ResolvedBy(Action change)
    {
        var before = _rig.Publisher.Resolved;
        change();
        _rig.Push();
        return _rig.Publisher.Resolved - before;
    }

    private static string Inbound(ProxyFeed proxy) =>
        string.Join(' ', MeshRig.Versions(proxy).Keys.Where(name => name.Contains("inbound|", StringComparison.Ordinal)));
}
