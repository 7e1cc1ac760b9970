using Isthmus.ControlPlane.Clusters;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Remote;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Intake;

/// <summary>The table of kinds agrees with the kinds that are installed, watched and kept.</summary>
public sealed class MeshKindsTests
{
    private static readonly MeshKinds Kinds = new(MultiClusterSettings.Default, "istio", "default", NullLogger<MeshKinds>.Instance);
    private static readonly ClusterAccess Access = new() { Server = new("https://127.0.0.1:1") };

    [Fact]
    public void Every_kind_of_Istio_that_shapes_proxies_is_in_the_table_as_its_CRD_declares_it()
    {
        Assert.Equal(
            MeshApi.Effective.Select(kind => (kind.Group, kind.ReadVersion, kind.Kind, kind.Plural)).Order(),
            Kinds.Istio.Select(kind => (kind.Resource.Group, kind.Resource.Version, kind.Resource.Kind, kind.Resource.Plural)).Order());
        Assert.All(Kinds.Istio, kind => Assert.Contains(MeshApi.Istio, crd => $"{kind.Resource.Plural}.{kind.Resource.Group}" == crd.CrdName));
        Assert.Equal(MeshApi.Refused.Select(kind => kind.CrdName), Kinds.Refused.Select(kind => $"{kind.Resource.Plural}.{kind.Resource.Group}"));
        Assert.All(Kinds.Refused, kind => Assert.Equal((KindPlace.ConfigCluster, KindNeed.Nowhere), (kind.Place, kind.Descriptor.Need)));
        Assert.All(Kinds.Istio, kind => Assert.Equal(kind == Kinds.WorkloadEntries ? KindPlace.EveryCluster : KindPlace.ConfigCluster, kind.Place));
    }

    /// <summary>What a control plane reads is one class of this table and one descriptor, whatever the group.</summary>
    [Fact]
    public void Every_described_kind_that_control_planes_read_has_a_watch_and_no_other_has()
    {
        var described = MeshApi.All.Where(kind => kind.Place != KindPlace.Nowhere).Select(kind => kind.ToString()).Order();
        Assert.Equal(described, Kinds.All.Select(kind => kind.Descriptor.ToString()).Distinct().Order());
    }

    /// <summary>Kinds of remote clusters whose API server is away when a control plane starts. Imports are written by control planes themselves.</summary>
    [Fact]
    public void The_last_known_state_has_every_kind_that_is_read_in_every_cluster()
    {
        var remembered = MeshApi.For(KindUse.LastKnown).Select(kind => kind.Kind).Order().ToList();
        Assert.Equal(MeshApi.All.Where(kind => kind.Place == KindPlace.EveryCluster && kind != MeshApi.ServiceImport).Select(kind => kind.Kind).Order(),
            remembered);
        var lists = typeof(ClusterSnapshot).GetProperties()
            .Where(property => property.PropertyType.IsGenericType && property.PropertyType.GetGenericTypeDefinition() == typeof(ValueList<>));
        Assert.Equal(remembered.Count, lists.Count());
    }

    /// <summary>ConfigMaps are the mesh's settings in one place, and CAs in others.</summary>
    [Fact]
    public void Every_kind_is_in_the_table_once() => Assert.Equal(Kinds.All.Count, Kinds.All.Select(kind => (kind.Resource, kind.Place)).Distinct().Count());

    [Fact]
    public void The_configuration_cluster_is_watched_for_all_kinds_and_a_remote_cluster_for_what_runs_there()
    {
        var scope = new WatchScope(Kinds, "istio-system");
        Assert.Equal(Kinds.All, scope.For(new("own", "", Access)));
        Assert.Equal(
            ["EndpointSlice", "Namespace", "Node", "Pod", "Service", "ServiceExport", "ServiceImport", "WorkloadEntry"],
            scope.For(new("other", "istio-system/other", Access)).Select(kind => kind.Resource.Kind).Order());
        Assert.Equal(["ConfigMap"], Kinds.All.Where(kind => scope.NamespaceOf(kind) is not null).Select(kind => kind.Resource.Kind).Order());
    }

    [Fact]
    public void Secrets_are_read_where_the_installation_says_and_not_those_that_cannot_be_certificates()
    {
        var some = new MeshKinds(MultiClusterSettings.Default, "istio", "default",
            NullLogger<MeshKinds>.Instance) { Secrets = new(["edge", "istio-system"], InRemotes: true) };
        foreach (var cluster in (MeshCluster[])[new("own", "", Access), new("other", "istio-system/other", Access)])
        {
            var scope = new WatchScope(some, "istio-system");
            Assert.Equal(["edge", "istio-system"],
                scope.For(cluster).Where(kind => kind.Resource == Kubernetes.Objects.Kinds.Secret).Select(scope.NamespaceOf));
        }
        Assert.All(some.Credentials.Concat(Kinds.Credentials),
            kind => Assert.Equal((true, "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"),
                (kind.IsOptionalIn(isConfig: true), kind.FieldSelector)));
    }

    [Fact]
    public void A_cluster_that_leaves_takes_everything_of_every_kind_with_it()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.Push();
        var kept = typeof(MeshSources).GetProperties().Where(property => property.PropertyType.GenericTypeArguments is [{ } key, _] && key == typeof(ObjectKey))
            .ToList();
        Assert.NotEmpty(kept);
        rig.Writer.RemoveCluster("c2");
        rig.Push();
        Assert.All(kept, property =>
        {
            var items = (System.Collections.IDictionary)property.PropertyType.GetProperty("Items")!.GetValue(property.GetValue(rig.Mesh.Sources))!;
            Assert.DoesNotContain(items.Keys.Cast<ObjectKey>(), key => key.Cluster == "c2");
        });
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("istio.io/rev: default", true)]
    [InlineData("istio.io/rev: canary", false)]
    public void Istio_objects_of_another_revision_are_left_to_its_control_plane(string label, bool read)
    {
        var rig = new MeshRig("c1");
        List<KindDescriptor> kinds = [.. MeshApi.Effective, .. MeshApi.Refused];
        foreach (var kind in kinds)
        {
            rig.Config($$"""
                apiVersion: {{kind.Group}}/{{kind.ReadVersion}}
                kind: {{kind.Kind}}
                metadata: {name: one, namespace: shop, labels: { {{label}} } }
                spec: {wrong: true}
                """);
        }
        rig.Push();
        Assert.Equal(read ? kinds.Count : 0, rig.Mesh.Sources.Problems.Items.Keys.Count(source => source.Name == "one"));
    }
}
