using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Mcs;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>EndpointSlices of ServiceImports (KEP-1645): which endpoints are in them, and which of them a change touches.</summary>
public sealed class ImportSlicesTests
{
    private static readonly ResourceKind Imports = new("multicluster.x-k8s.io", "v1beta1", "ServiceImport", "serviceimports", true);

    private readonly MeshRig _rig = new("c1", "c2");

    public ImportSlicesTests()
    {
        foreach (var cluster in (string[])["c1", "c2"]) _rig.Writer.Put(cluster, new Namespace { Metadata = new() { Name = MeshRig.Namespace } });
    }

    /// <summary>What the API's conformance suite asks under the label EndpointSlice.</summary>
    [Fact]
    public void Every_cluster_has_slices_with_the_labels_of_the_API_as_long_as_a_cluster_exports()
    {
        SameNetwork();
        _rig.App("c1", "desk", "10.96.0.10", "10.244.0.1", "10.244.0.2");
        Export("c1", "desk");
        foreach (var cluster in (string[])["c1", "c2"])
        {
            var slice = Assert.Single(Of(cluster, []).Wanted).Json(Imports);
            var labels = slice["metadata"]!["labels"]!;
            Assert.Equal("desk", labels["multicluster.kubernetes.io/service-name"]!.ToString());
            Assert.Equal("c1", labels["multicluster.kubernetes.io/source-cluster"]!.ToString());
            Assert.Equal("multicluster.isthmus.internal", labels["endpointslice.kubernetes.io/managed-by"]!.ToString());
            Assert.Null(labels["kubernetes.io/service-name"]);
            Assert.Equal($"ServiceImport desk uid-{cluster}", Owner(slice));
            Assert.Equal(["10.244.0.1 true", "10.244.0.2 true"], Endpoints(slice));
            Assert.Equal("""[{"name":"http","port":8080,"protocol":"TCP"}]""", slice["ports"]!.ToJsonString());
        }
        var known = Stored("c1", []);
        Assert.Empty(Of("c1", known).Wanted);
        _rig.Writer.RemoveMultiCluster("c1", "ServiceExport", MeshRig.Namespace, "desk");
        _rig.Push();
        Assert.Equal(known, Of("c1", known).Obsolete);
    }

    [Fact]
    public void Pods_of_other_networks_are_left_out_and_their_cluster_is_still_named()
    {
        _rig.App("c1", "desk", "10.96.0.10", "10.244.0.1");
        _rig.App("c2", "desk", "10.96.0.10", "10.244.0.1");
        Export("c1", "desk");
        Export("c2", "desk");
        Assert.Equal(["c1: 10.244.0.1", "c2: "], Of("c1", []).Wanted.Select(Text));
        Assert.Equal(["c1: ", "c2: 10.244.0.1"], Of("c2", []).Wanted.Select(Text));
    }

    [Fact]
    public void Pods_of_a_headless_Service_keep_their_names_and_say_whether_they_are_ready()
    {
        SameNetwork();
        _rig.StatefulApp("c1", "desk", "tcp", 8080, "10.244.0.1", "10.244.0.2");
        _rig.Slice("c1", "desk", 8080, "tcp", ("desk-0", "10.244.0.1"), ("!desk-1", "10.244.0.2"));
        Export("c1", "desk");
        var slice = Assert.Single(Of("c2", []).Wanted).Json(Imports);
        Assert.Equal(["10.244.0.1 true desk-0 z1", "10.244.0.2 false desk-1 z1"],
            Endpoints(slice).Zip(slice["endpoints"]!.AsArray(), (text, one) => $"{text} {one!["hostname"]} {one["zone"]}"));
    }

    [Fact]
    public void Endpoints_of_two_families_and_of_different_ports_are_in_slices_of_their_own()
    {
        SameNetwork();
        _rig.App("c1", "desk", "10.96.0.10", "10.244.0.1");
        Add("c1", "desk-2", "IPv6", 8080, "fd00::1");
        Add("c1", "desk-3", "IPv4", 9090, "10.244.0.3");
        Export("c1", "desk");
        var slices = Of("c1", []).Wanted.Select(slice => slice.Json(Imports)).Select(slice =>
            $"{slice["addressType"]} {slice["ports"]![0]!["port"]} {string.Join(',', slice["endpoints"]!.AsArray().Select(one => one!["addresses"]![0]))}");
        Assert.Equal(["IPv4 8080 10.244.0.1", "IPv4 9090 10.244.0.3", "IPv6 8080 fd00::1"], slices.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_hundred_endpoints_are_in_a_slice_and_a_changed_one_touches_one_slice()
    {
        SameNetwork();
        string[] pods = [.. Enumerable.Range(0, 250).Select(index => $"10.244.{index / 100}.{index % 100}")];
        _rig.App("c1", "desk", "10.96.0.10", pods);
        Export("c1", "desk");
        Assert.Equal([100, 100, 50], Of("c1", []).Wanted.Select(slice => slice.Endpoints.Count));
        var known = Stored("c1", []);

        // One goes, and another one comes: it takes the free place, and nothing moves.
        _rig.App("c1", "desk", "10.96.0.10", [.. pods[1..], "10.244.9.9"]);
        _rig.Push();
        var changed = Assert.Single(Of("c1", known).Wanted);
        Assert.Equal((100, true), (changed.Endpoints.Count, changed.Endpoints.Any(one => $"{one.Address}" == "10.244.9.9")));
        known = Stored("c1", known);

        // A slice whose last endpoint has gone is deleted.
        _rig.App("c1", "desk", "10.96.0.10", "10.244.0.1");
        _rig.Push();
        var left = Of("c1", known);
        Assert.Equal((1, 2), (left.Wanted.Count, left.Obsolete.Count));
        known = Stored("c1", known);
        _rig.App("c1", "desk", "10.96.0.10");
        _rig.Push();
        left = Of("c1", known);
        Assert.Equal(("c1: ", 1), (Text(Assert.Single(left.Wanted)), left.Obsolete.Count));
    }

    [Fact]
    public void Slices_of_an_import_that_was_deleted_and_made_again_get_its_new_owner()
    {
        SameNetwork();
        _rig.App("c1", "desk", "10.96.0.10", "10.244.0.1");
        Export("c1", "desk");
        var known = Stored("c1", []);
        Import("c1", "again");
        Assert.Equal("ServiceImport desk again", Owner(Assert.Single(Of("c1", known).Wanted).Json(Imports)));
        Import("c1", "");
        Assert.Equal(known, Of("c1", known).Obsolete);
    }

    private void SameNetwork()
    {
        foreach (var cluster in (string[])["c1", "c2"])
            _rig.Writer.Put(cluster, new Namespace { Metadata = new() { Name = "istio-system", Labels = { ["topology.istio.io/network"] = "flat" } } });
    }

    private void Add(string cluster, string name, string family, int target, string address) => _rig.Writer.Put(cluster, new EndpointSlice
    {
        Metadata = new() { Name = name, Namespace = MeshRig.Namespace, Labels = { ["kubernetes.io/service-name"] = "desk" } },
        AddressType = family, Endpoints = [new() { Addresses = [address], Conditions = new() { Ready = true } }],
        Ports = [new() { Name = "http", Port = target }],
    });

    private void Export(string cluster, string name)
    {
        _rig.Writer.PutMultiCluster(cluster, new()
        {
            ["kind"] = "ServiceExport",
            ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = MeshRig.Namespace, ["creationTimestamp"] = "2030-01-01T00:00:00Z" },
        });
        foreach (var one in (string[])["c1", "c2"]) Import(one, $"uid-{one}");
    }

    /// <summary>The import as the controller has written it.</summary>
    private void Import(string cluster, string uid)
    {
        _rig.Writer.RemoveMultiCluster(cluster, "ServiceImport", MeshRig.Namespace, "desk");
        _rig.Push();
        if (uid.Length == 0) return;
        var import = MultiClusterPlan.Of(_rig.Mesh, cluster, MultiClusterSettings.Default).Imports.Single();
        var metadata = import.Metadata();
        metadata["uid"] = uid;
        _rig.Writer.PutMultiCluster(cluster, new()
        {
            ["apiVersion"] = "multicluster.x-k8s.io/v1beta1", ["kind"] = "ServiceImport", ["metadata"] = metadata, ["spec"] = import.SpecIn("v1beta1"),
            ["status"] = import.StatusIn("v1beta1", "2030-01-01T00:00:00Z"),
        });
        _rig.Push();
    }

    private ImportSlices Of(string cluster, IReadOnlyList<EndpointSlice> known) =>
        ImportSlices.Of(MultiClusterPlan.Of(_rig.Mesh, cluster, MultiClusterSettings.Default).Behind, known);

    /// <summary>What a cluster has after what is wanted was written, and read again.</summary>
    private List<EndpointSlice> Stored(string cluster, IReadOnlyList<EndpointSlice> known)
    {
        var slices = Of(cluster, known);
        var written = slices.Wanted.Select(slice => JsonSerializer.Deserialize(slice.Json(Imports), KubeJson.Of<EndpointSlice>())!).ToList();
        return [.. known.Except(slices.Obsolete).Where(slice => !written.Exists(now => now.Metadata.Name == slice.Metadata.Name)), .. written];
    }

    private static string Owner(JsonObject slice) =>
        slice["metadata"]!["ownerReferences"]!.AsArray().Select(owner => $"{owner!["kind"]} {owner["name"]} {owner["uid"]}").Single();

    private static IEnumerable<string> Endpoints(JsonObject slice) =>
        slice["endpoints"]!.AsArray().Select(one => $"{one!["addresses"]![0]} {one["conditions"]!["ready"]!.ToJsonString()}");

    private static string Text(WantedSlice slice) => $"{slice.Kind.Cluster}: {string.Join(',', slice.Endpoints.Select(endpoint => endpoint.Address))}";
}
