using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>A bug that one object runs into costs others nothing, and nothing for good. Facts with a null where none can be stand for it.</summary>
public sealed class PublisherFailureTests
{
    private static readonly string A = MeshRig.OutboundName("a"), B = MeshRig.OutboundName("b"), C = MeshRig.OutboundName("c");

    private readonly MeshRig _rig = new("c1");

    public PublisherFailureTests()
    {
        foreach (var name in (string[])["a", "b"]) _rig.App("c1", name, $"10.96.1.{(int)name[0]}", "10.244.1.1");
    }

    [Fact]
    public void One_proxy_without_a_scope_keeps_no_other_from_its_own_and_follows_later()
    {
        foreach (var ns in (string[])["shop", "other", "third"]) See(ns, "*/*");
        _rig.Push();
        var proxies = ((string[])["shop", "other", "third"]).ToDictionary(ns => ns, ns => _rig.Sidecar("c1", ns: ns));
        foreach (var ns in (string[])["shop", "other", "third"]) See(ns, "*/a.shop.svc.cluster.local");
        Break("other");
        Assert.Single(Assert.Throws<AggregateException>(() => _rig.Push()).InnerExceptions);
        Assert.Equal([false, true, false], proxies.Values.Select(proxy => MeshRig.Cluster(proxy, B) is not null));

        // A change that does not concern it is one for it, too.
        _rig.App("c1", "c", "10.96.1.99", "10.244.1.1");
        Assert.Throws<AggregateException>(() => _rig.Push());
        Assert.NotNull(MeshRig.Cluster(proxies["other"], C));
        See("other", "*/a.shop.svc.cluster.local");
        _rig.Push();
        Assert.Equal((true, false), (MeshRig.Cluster(proxies["other"], A) is not null, MeshRig.Cluster(proxies["other"], B) is not null));
        Assert.Equal(3, _rig.Publisher.Scopes);
    }

    /// <summary>It connects while it has no scope: the object that is at fault concerns it.</summary>
    [Fact]
    public void A_proxy_that_joins_without_a_scope_gets_one_when_there_is_one()
    {
        See("other", "*/*");
        Break("other");
        _rig.Push();
        var proxy = new ProxyFeed(_rig.Sidecar("c1").Proxy with { Namespace = "other", Domain = "other.svc.cluster.local" }, TimeProvider.System, _ => { });
        Assert.Throws<NullReferenceException>(() => _rig.Publisher.Join(proxy));
        Assert.Equal(1, _rig.Publisher.Scopes);
        See("other", "*/a.shop.svc.cluster.local");
        _rig.Push();
        Assert.Equal((true, false), (MeshRig.Cluster(proxy, A) is not null, MeshRig.Cluster(proxy, B) is not null));
    }

    [Fact]
    public void After_a_publication_that_failed_the_next_one_is_complete()
    {
        const string Rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: x, namespace: shop}, spec: {host: a, subsets: "
            + "[{name: v1, labels: {version: v1}}]}}";
        _rig.Config(Rule);
        _rig.Push();
        var proxy = _rig.Sidecar("c1");
        var (key, rule) = Assert.Single(_rig.Mesh.Sources.DestinationRules.Items);
        _rig.Mesh.Sources.DestinationRules.Put(key, rule with { Subsets = [null!] });
        See("shop", "*/a.shop.svc.cluster.local");
        Assert.ThrowsAny<Exception>(() => _rig.Push());
        Assert.NotNull(MeshRig.Cluster(proxy, B));
        _rig.Config(Rule);
        _rig.Push();
        Assert.Equal((true, false), (MeshRig.Cluster(proxy, A) is not null, MeshRig.Cluster(proxy, B) is not null));
    }

    /// <summary>Endpoints are published alone, between others.</summary>
    [Fact]
    public void A_publication_of_endpoints_does_not_make_up_for_one_that_failed()
    {
        var failures = new PublicationFailures();
        Assert.Throws<InvalidOperationException>(() => failures.Publish(true, () => throw new InvalidOperationException()));
        failures.Publish(false, () => []);
        Assert.True(failures.LeftChanges);
        Assert.Throws<AggregateException>(() => failures.Publish(true, () => [new InvalidOperationException()]));
        Assert.False(failures.LeftChanges);
    }

    private void See(string ns, string hosts) => _rig.Config(
        $"{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: x, namespace: {ns}}}, spec: {{egress: [{{hosts: ['{hosts}']}}]}}}}");

    private void Break(string ns) => _rig.Mesh.Sources.Sidecars.Put(new("c1", ns, "x"),
        new Sidecar(new("c1", "Sidecar", ns, "x"), default, default, [null!], null, 0));
}
