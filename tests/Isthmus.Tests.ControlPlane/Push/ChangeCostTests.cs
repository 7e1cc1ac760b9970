using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>What a change costs the graph follows what it concerns: as many transforms run beside a few other objects of its namespace as beside
/// many.</summary>
public sealed class ChangeCostTests
{
    private const int Few = 3, Many = 12;

    /// <summary>What all objects of the namespace follow: settings of the mesh, clusters, the namespace itself and that of the system, policies for
    /// all its workloads, the Node of all Pods, and the gateways of networks.</summary>
    private static readonly string[] ConcernsAll =
    [
        "ConfigMap. c1/istio-system/istio", "contact with ", "Namespace. c1//shop", "Namespace. c1//istio-system",
        "PeerAuthentication.security.istio.io c1/shop/mode", "Node. c1//node", "Service. c2/shop/eastwest", "EndpointSlice.discovery.k8s.io c1/shop/eastwest-1",
        "EndpointSlice.discovery.k8s.io c2/shop/eastwest-1", "EndpointSlice.discovery.k8s.io c3/shop/eastwest-1",
    ];

    [Fact]
    public void A_change_runs_as_many_transforms_beside_many_objects_as_beside_few()
    {
        var (few, many) = (Mesh(Few), Mesh(Many));
        var samples = MeshSamples.Of(few.Writer.Kinds).Zip(MeshSamples.Of(many.Writer.Kinds)).ToList();
        foreach (var (one, other) in samples)
        {
            one.Put(few.Writer, 1);
            other.Put(many.Writer, 1);
        }
        few.Writer.Commit();
        many.Writer.Commit();
        var dearer = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var (one, other) in samples.Where(pair => !ConcernsAll.Any(wide => pair.First.Identity.StartsWith(wide, StringComparison.Ordinal))))
        {
            for (var variant = 2; variant <= MeshSamples.Variants; variant++)
                Compare(one.Identity, rig => (rig == few ? one : other).Put(rig.Writer, variant));
            if (one.Remove is null) continue;
            Compare(one.Identity, rig => (rig == few ? one : other).Remove!(rig.Writer));
            Compare(one.Identity, rig => (rig == few ? one : other).Put(rig.Writer, 1));
        }
        Assert.True(dearer.Count == 0, string.Join("\n", dearer));

        void Compare(string identity, Action<MeshRig> change)
        {
            var (beside, with) = (Transforms(few, change), Transforms(many, change));
            Assert.Equal(beside.Keys, with.Keys);
            dearer.UnionWith(with.Where(node => node.Value > beside[node.Key]).Select(node => $"{identity}: {node.Key} {beside[node.Key]} {node.Value}"));
        }
    }

    private static Dictionary<string, long> Transforms(MeshRig rig, Action<MeshRig> change)
    {
        var before = rig.Mesh.Graph.Nodes.Select(node => node.Transforms).ToList();
        change(rig);
        rig.Writer.Commit();
        return rig.Mesh.Graph.Nodes.Zip(before).GroupBy(pair => pair.First.Name)
            .ToDictionary(group => group.Key, group => group.Sum(pair => pair.First.Transforms - pair.Second));
    }

    private static MeshRig Mesh(int others)
    {
        var rig = new MeshRig("c1");
        for (var i = 0; i < others; i++)
        {
            rig.App("c1", $"other-{i}", $"10.96.7.{i}", $"10.244.7.{i}");
            rig.Config($$"""
                {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: other-{{i}}, namespace: shop}, spec: {hosts: [other-{{i}}],
                  http: [{route: [{destination: {host: other-{{i}} } }] }] } }
                ---
                {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: other-{{i}}, namespace: shop}, spec: {host: other-{{i}} } }
                ---
                {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: other-{{i}}, namespace: shop}, spec: {hosts: [other-{{i}}.example],
                  ports: [{number: 80, name: http, protocol: HTTP}], location: MESH_EXTERNAL, resolution: STATIC, endpoints: [{address: 192.0.2.{{i}} }] } }
                ---
                {apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: other-{{i}}, namespace: shop},
                  spec: {address: 198.51.100.{{i}}, labels: {app: other-{{i}} } } }
                """);
        }
        return rig;
    }
}
