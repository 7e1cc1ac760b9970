using System.Text;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.Graph.Metrics;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Rigs.Mesh;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Clusters;

public sealed class MeshObjectsTests
{
    [Fact]
    public async Task A_snapshot_serves_until_the_cluster_speaks_and_leaves_nothing_stale()
    {
        var (rig, objects) = Make();
        await objects.Restore("c2", () => true, Snapshot().Restore);
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=2"], Endpoints(client, OutboundName("orders")));

        // Its API server is back: one Pod is gone, and with it its part of the slice. Everything else is listed again.
        await ListAsync(objects, new("c2", 1), rig.Writer.Kinds, Before, except: "orders-10.244.0.3");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(client, OutboundName("orders")));
        Assert.DoesNotContain(rig.Mesh.Sources.Workloads.Items.Keys, key => key.Name == "orders-10.244.0.3");
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    [Fact]
    public async Task A_snapshot_never_takes_the_place_of_what_the_cluster_said_itself()
    {
        var (rig, objects) = Make();
        await objects.Replace(new("c2", 1), rig.Writer.Kinds.Pods, []);
        await objects.Restore("c2", () => true, Snapshot().Restore);
        rig.Push();
        Assert.DoesNotContain(rig.Mesh.Sources.Workloads.Items.Keys, key => key.Cluster == "c2");
        Assert.Contains(rig.Mesh.Sources.Services.Items.Keys, key => key.Cluster == "c2");
    }

    [Fact]
    public async Task A_cluster_that_left_before_its_snapshot_was_taken_stays_away()
    {
        var (rig, objects) = Make();
        await objects.Restore("c2", () => false, Snapshot().Restore);
        rig.Push();
        Assert.DoesNotContain(rig.Mesh.Sources.Services.Items.Keys, key => key.Cluster == "c2");
    }

    [Fact]
    public async Task What_API_servers_tell_is_counted()
    {
        var (rig, metrics) = (new MeshRig("c1"), new ControlMetrics());
        var objects = new MeshObjects(change =>
        {
            change(rig.Writer);
            return ValueTask.CompletedTask;
        }, metrics);
        var (watch, pods, services) = (new WatchId("c1", 1), rig.Writer.Kinds.Pods, rig.Writer.Kinds.All.OfType<VirtualServiceKind>().Single());
        var pod = pods.Read("c1", new() { Metadata = new() { Name = "p", Namespace = MeshRig.Namespace } })!;
        var route = services.Read("c1",
            YamlText.Parse("{metadata: {name: r, namespace: shop}, spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}}", "route")!.AsObject())!;
        await objects.Replace(watch, pods, [new("shop/p", pod)]);
        await objects.Replace(watch, services, []);
        await objects.Apply(watch, pods, [new("shop/p", pod, pod), new("shop/q", pod, null), new("shop/p", null, pod)]);
        await objects.Apply(watch, services, [new("shop/r", route, null), new("shop/r", route, route)]);
        var text = new StringBuilder();
        metrics.Write(text);
        Assert.Equal(
            ["pilot_k8s_cfg_events{type=\"VirtualService\",event=\"add\"} 1", "pilot_k8s_cfg_events{type=\"VirtualService\",event=\"update\"} 1",
                "pilot_k8s_reg_events{type=\"Pods\",event=\"add\"} 2", "pilot_k8s_reg_events{type=\"Pods\",event=\"delete\"} 1",
                "pilot_k8s_reg_events{type=\"Pods\",event=\"update\"} 1"],
            text.ToString().Split('\n').Where(line => line.StartsWith("pilot_k8s_", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_newest_watch_that_listed_a_kind_is_heard_and_older_ones_are_not()
    {
        var (rig, objects) = Make();
        var (old, young) = (new WatchId("c2", 1), new WatchId("c2", 2));
        var pods = rig.Writer.Kinds.Pods;
        var pod = pods.Read("c2", new() { Metadata = new() { Name = "p", Namespace = MeshRig.Namespace } });
        await objects.Replace(old, pods, [new("shop/p", pod)]);
        await objects.Replace(young, pods, []);
        await objects.Apply(old, pods, [new("shop/p", pod, null)]);
        await objects.Replace(old, pods, [new("shop/p", pod)]);
        rig.Push();
        Assert.DoesNotContain(rig.Mesh.Sources.Workloads.Items.Keys, key => key.Cluster == "c2");

        await objects.Apply(young, pods, [new("shop/p", pod, null)]);
        await objects.Remove(old);
        rig.Push();
        Assert.Contains(rig.Mesh.Sources.Workloads.Items.Keys, key => key.Cluster == "c2");
        await objects.Remove(young);
        rig.Push();
        Assert.DoesNotContain(rig.Mesh.Sources.Workloads.Items.Keys, key => key.Cluster == "c2");
    }

    [Fact]
    public void A_snapshot_follows_its_cluster_and_keeps_what_did_not_change()
    {
        var rig = new MeshRig("c1", "c2", "c3");
        Before(rig, null);
        rig.App("c3", "orders", "10.96.0.12", "10.244.0.9");
        rig.Push();
        var part = new ClusterPart("c2");
        var first = part.In(SnapshotInputs.Of(rig.Mesh.Sources));
        rig.Slice("c2", "orders", 8080, "http", ("orders-10.244.0.2", "10.244.0.2"));
        rig.Push();
        var second = part.In(SnapshotInputs.Of(rig.Mesh.Sources));
        Assert.Equal(3, first.Slices.Sum(slice => slice.Addresses.Count));
        Assert.Equal(2, second.Slices.Sum(slice => slice.Addresses.Count));
        Assert.True(first.Services.Equals(second.Services));
        // Whether it was picked in one step or in two makes no difference.
        Assert.Equal(SnapshotCodec.Encode(new ClusterPart("c2").In(SnapshotInputs.Of(rig.Mesh.Sources))).Generation, SnapshotCodec.Encode(second).Generation);
        Assert.NotEqual(SnapshotCodec.Encode(first).Generation, SnapshotCodec.Encode(second).Generation);
    }

    private static (MeshRig Rig, MeshObjects Objects) Make()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Writer.PutContact(new("c2", false, false, false, 0));
        return (rig, new(change => { change(rig.Writer); return ValueTask.CompletedTask; }));
    }

    /// <summary>The knowledge of an earlier control plane, encoded and decoded.</summary>
    private static ClusterSnapshot Snapshot()
    {
        var before = new MeshRig("c1", "c2");
        Before(before, null);
        before.Push();
        return SnapshotCodec.Decode("c2", SnapshotCodec.Encode(new ClusterPart("c2").In(SnapshotInputs.Of(before.Mesh.Sources))));
    }

    private static void Before(MeshRig rig, string? except)
    {
        rig.App("c2", "orders", "10.96.0.11", [.. ((string[])["10.244.0.2", "10.244.0.3"]).Where(ip => $"orders-{ip}" != except)]);
        rig.EastWest("c2", "172.18.202.1");
    }

    private static async Task ListAsync(MeshObjects objects, WatchId watch, MeshKinds kinds, Action<MeshRig, string?> build, string except)
    {
        var now = new MeshRig("c2");
        build(now, except);
        now.Push();
        await new ObjectsOf(now, objects, watch).ReplaceAsync(kinds);
    }

    /// <summary>Lists the content of a rig again, as minimal Kubernetes objects that produce the same facts.</summary>
    private sealed class ObjectsOf(MeshRig rig, MeshObjects objects, WatchId watch)
    {
        internal async Task ReplaceAsync(MeshKinds kinds)
        {
            await Put(kinds.Pods, rig.Mesh.Sources.Workloads.Items.Values.Select(pod => new MeshPod
            {
                Metadata = new() { Name = pod.Source.Name, Namespace = pod.Source.Namespace, Labels = pod.Labels.ToDictionary() },
                Spec = new() { NodeName = pod.Node, ServiceAccountName = pod.ServiceAccount },
                Status = new() { PodIP = pod.Addresses[0].ToString(), PodIPs = { new() { Ip = pod.Addresses[0].ToString() } } },
            }));
            await Put(kinds.Slices, rig.Mesh.Sources.Slices.Items.Values.Select(slice => new EndpointSlice
            {
                Metadata = new() { Name = slice.Source.Name, Namespace = slice.Source.Namespace, Labels = { ["kubernetes.io/service-name"] = slice.Service } },
                Endpoints = [.. slice.Addresses.Select(address => new SliceEndpoint
                {
                    Addresses = [address.Address.ToString()], Conditions = new() { Ready = true }, NodeName = address.Node,
                    TargetRef = new() { Kind = "Pod", Namespace = MeshRig.Namespace, Name = address.Pod!.Value.Name },
                })],
                Ports = [.. slice.Ports.Select(port => new SlicePort { Name = port.Key, Port = port.Value })],
            }));
            await Put(kinds.Services, rig.Mesh.Sources.Services.Items.Values.Select(service => new Service
            {
                Metadata = new() { Name = service.Name, Namespace = service.Namespace, Labels = service.Labels.ToDictionary() },
                Spec = new()
                {
                    Type = service.ExternalAddresses.IsEmpty ? "ClusterIP" : "LoadBalancer", ClusterIP = service.ClusterIps[0].ToString(),
                    ClusterIPs = [.. service.ClusterIps.Select(ip => ip.ToString())],
                    Selector = service.Selector.ToDictionary(),
                    Ports = [.. service.Ports.Select(port => new Kubernetes.Objects.ServicePort { Name = port.Name, Port = port.Number })],
                },
                Status = new()
                {
                    LoadBalancer = new() { Ingress = [.. service.ExternalAddresses.Select(ip => new LoadBalancerIngress { Ip = ip.ToString() })] },
                },
            }));
            await Put(kinds.Nodes,
                rig.Mesh.Sources.Nodes.Items.Values.Select(node => new Node
                {
                    Metadata = new()
                    {
                        Name = node.Source.Name,
                        Labels = { ["topology.kubernetes.io/region"] = node.Locality.Region, ["topology.kubernetes.io/zone"] = node.Locality.Zone }
                    }
                }));
            await Put(kinds.Namespaces,
                rig.Mesh.Sources.Namespaces.Items.Values.Select(ns => new Namespace
                {
                    Metadata = new() { Name = ns.Source.Name, Labels = ns.Labels.ToDictionary() }
                }));
        }

        private ValueTask Put<TObject, TFacts>(MeshKind<TObject, TFacts> kind, IEnumerable<TObject> items) where TObject : KubeObject where TFacts : class =>
            objects.Replace(watch, kind, [.. items.Select(item => KeyValuePair.Create(item.Key, kind.Read(watch.Cluster, item)!))]);
    }
}
