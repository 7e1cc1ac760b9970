using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Controllers;
using Isthmus.Lab.Controllers.Framework;
using Xunit;

namespace Isthmus.Tests.Mesh.Controllers;

/// <summary>The controllers against the lab's own API server, with a node that reports every Pod as ready at
/// once.</summary>
[Trait("shard", "cluster")]
public class ClusterControllersTests
{
    [Fact]
    public async Task A_deployment_becomes_pods_and_endpoints_rolls_and_is_collected_with_all_it_owns()
    {
        await using var cluster = await Cluster.StartAsync();
        await cluster.ApplyAsync(Web("v1"));
        await cluster.UntilAsync<EndpointSlice>(Kinds.EndpointSlice,
            slice => slice.Metadata.Name.StartsWith("web-") && slice.Endpoints.Count(endpoint => endpoint.Conditions.Ready == true) == 3);
        await cluster.ApplyAsync(Web("v2"));
        var done = await cluster.UntilAsync<Deployment>(Kinds.Deployment, web => web.Status.ObservedGeneration == web.Metadata.Generation
            && web.Status is { UpdatedReplicas: 3, Replicas: 3, AvailableReplicas: 3 } && web.Metadata.Annotations["deployment.kubernetes.io/revision"] == "2");
        Assert.Contains(done.Status.Conditions, condition => condition is { Type: "Progressing", Reason: "NewReplicaSetAvailable" });
        var service = await cluster.UntilAsync<Service>(Kinds.Service, service => service.Status.LoadBalancer.Ingress.Count == 1);
        Assert.Equal("192.0.2.1", service.Status.LoadBalancer.Ingress[0].Ip);

        await cluster.Client.DeleteAsync(Kinds.Namespace, null, "shop", CancellationToken.None);
        await cluster.UntilGoneAsync(Kinds.Namespace, "shop");
    }

    [Theory]
    [InlineData("Background")]
    [InlineData("Foreground")]
    [InlineData("Orphan")]
    public async Task Deleting_a_deployment_deletes_or_frees_what_it_owns(string propagation)
    {
        await using var cluster = await Cluster.StartAsync();
        await cluster.ApplyAsync(Web("v1"));
        await cluster.UntilAsync<Deployment>(Kinds.Deployment, web => web.Status.AvailableReplicas == 3);
        await cluster.Client.DeleteAsync(Kinds.Deployment, "shop", "web", CancellationToken.None, propagation: propagation);
        if (propagation == "Orphan")
        {
            var set = await cluster.UntilAsync<ReplicaSet>(Kinds.ReplicaSet, set => set.Metadata.OwnerReferences.Count == 0);
            Assert.Equal(3, set.Spec.Replicas);
        }
        else
        {
            await cluster.UntilNoneAsync(Kinds.Pod);
            await cluster.UntilNoneAsync(Kinds.ReplicaSet);
        }
        await cluster.UntilNoneAsync(Kinds.Deployment);
    }

    [Fact]
    public async Task A_namespace_that_is_made_again_at_once_keeps_its_content()
    {
        await using var cluster = await Cluster.StartAsync();
        for (var round = 0; round < 12; round++)
        {
            await cluster.ApplyAsync("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}");
            await cluster.ApplyAsync(Web("v1"));
            await cluster.UntilAsync<Deployment>(Kinds.Deployment, web => web.Status.AvailableReplicas == 3);
            await cluster.Client.DeleteAsync(Kinds.Namespace, null, "shop", CancellationToken.None);
            await cluster.UntilGoneAsync(Kinds.Namespace, "shop");
        }
    }

    private static string Web(string version) => $$$"""
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop}
        spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: shop}
        spec:
          replicas: 3
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: c, image: "web:{{{version}}}"}]}
        """;

    private sealed class Cluster(ApiServerHost host, string directory, KubeClient client, CancellationTokenSource stop, Task running) : IAsyncDisposable
    {
        private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

        internal KubeClient Client => client;

        internal static async Task<Cluster> StartAsync()
        {
            var directory = Directory.CreateTempSubdirectory("isthmus-controllers-").FullName;
            using var pki = await ClusterPki.EnsureAsync(directory, "test", IPAddress.Loopback, TimeProvider.System, CancellationToken.None);
            var host = ApiServerHost.Build(new("test", directory, "127.0.0.1"), pki.ApiServer, TimeProvider.System, new Random(1),
                [new IPEndPoint(IPAddress.Loopback, 0)]);
            await host.StartAsync(CancellationToken.None);
            var (certificate, key) = await pki.ReadPairAsync(PkiNames.Controllers, CancellationToken.None);
            var client = new KubeClient(new ClusterAccess
            {
                Server = new Uri(host.Addresses.First()), CertificateAuthority = pki.CaPem, ClientCertificate = certificate, ClientKey = key
            });
            var stop = new CancellationTokenSource();
            var settings = new ControllerSettings("CA", (_, _, _, _) => "token", "192.0.2.0/29") { Log = Console.Error.WriteLine };
            var cluster = new Cluster(host, directory, client, stop,
                Task.WhenAll(ClusterControllers.RunAsync(client, settings, stop.Token), RunNodeAsync(client, stop.Token)));
            await cluster.ApplyAsync("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}");
            await cluster.UntilAsync<ServiceAccount>(Kinds.ServiceAccount, account => account.Metadata.Name == "default");
            return cluster;
        }

        internal async Task ApplyAsync(string yaml)
        {
            foreach (var item in YamlText.ParseAll(yaml, "test").OfType<JsonObject>())
                await client.ApplyAsync(Kinds.Find((string)item["apiVersion"]!, (string)item["kind"]!)!, item, CancellationToken.None);
        }

        internal async Task<T> UntilAsync<T>(ResourceKind kind, Func<T, bool> holds) where T : class
        {
            using var limit = new CancellationTokenSource(Patience);
            var ns = kind.Namespaced ? "shop" : null;
            var present = await client.ListAsync<T>(kind, ns, new(), limit.Token);
            if (present.Items.FirstOrDefault(holds) is { } already) return already;
            await foreach (var change in client.WatchAsync<T>(kind, ns, new() { ResourceVersion = present.ResourceVersion }, limit.Token))
            {
                if (change.Type is WatchEventType.Added or WatchEventType.Modified && holds(change.Object)) return change.Object;
                Assert.False(change.Type == WatchEventType.Deleted && kind == Kinds.Deployment, $"somebody deleted the {kind.Kind} that was waited for");
            }
            throw new TimeoutException($"no {kind.Kind} became what was expected");
        }

        internal async Task UntilNoneAsync(ResourceKind kind)
        {
            using var limit = new CancellationTokenSource(Patience);
            var present = await client.ListAsync<PartialObject>(kind, "shop", new(), limit.Token);
            var left = present.Items.Select(item => item.Metadata.Uid).ToHashSet();
            if (left.Count == 0) return;
            await foreach (var change in client.WatchAsync<PartialObject>(kind, "shop", new() { ResourceVersion = present.ResourceVersion }, limit.Token))
            {
                if (change.Type == WatchEventType.Added) left.Add(change.Object.Metadata.Uid);
                if (change.Type == WatchEventType.Deleted && left.Remove(change.Object.Metadata.Uid) && left.Count == 0) return;
            }
        }

        internal async Task UntilGoneAsync(ResourceKind kind, string name)
        {
            using var limit = new CancellationTokenSource(Patience);
            var present = await client.ListAsync<PartialObject>(kind, null, new() { FieldSelector = $"metadata.name={name}" }, limit.Token);
            if (present.Items.Count == 0) return;
            await foreach (var change in client.WatchAsync<PartialObject>(kind, null,
                new() { ResourceVersion = present.ResourceVersion, FieldSelector = $"metadata.name={name}" }, limit.Token))
                if (change.Type == WatchEventType.Deleted) return;
        }

        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await running;
            client.Dispose();
            await host.DisposeAsync();
            stop.Dispose();
            Directory.Delete(directory, recursive: true);
        }

        /// <summary>A node without processes: a bound Pod is ready, and a terminating Pod is gone.</summary>
        private static async Task RunNodeAsync(KubeClient client, CancellationToken stop)
        {
            try
            {
                var node = (JsonObject)YamlText.Parse("apiVersion: v1\nkind: Node\nmetadata: {name: n1}", "test")!;
                await client.CreateAsync(Kinds.Node, node, stop);
                await client.PatchAsync(Kinds.Node, null, "n1", YamlText.Parse("status: {conditions: [{type: Ready, status: \"True\"}]}", "test")!,
                    PatchType.Merge, stop, "status");
                var addresses = 0;
                var seen = new HashSet<string>();
                while (true)
                {
                    await foreach (var change in client.WatchAsync<Pod>(Kinds.Pod, null, new() { ResourceVersion = "0" }, stop))
                    {
                        if (change.Type is not (WatchEventType.Added or WatchEventType.Modified) || change.Object is not { Spec.NodeName: "n1" } pod) continue;
                        if (pod.Metadata.DeletionTimestamp is not null)
                            await client.DeleteAsync(Kinds.Pod, pod.Metadata.Namespace, pod.Metadata.Name, stop, gracePeriodSeconds: 0);
                        else if (seen.Add(pod.Metadata.Uid)) await SayReadyAsync(client, pod, ++addresses, stop);
                    }
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
            }
        }

        private static Task SayReadyAsync(KubeClient client, Pod pod, int number, CancellationToken stop) =>
            client.PatchAsync(Kinds.Pod, pod.Metadata.Namespace, pod.Metadata.Name, YamlText.Parse($$"""
                status:
                  phase: Running
                  podIP: 10.244.0.{{number}}
                  podIPs: [{ip: 10.244.0.{{number}} }]
                  conditions: [{type: Ready, status: "True", lastTransitionTime: 2030-01-01T00:00:00Z}]
                """, "test")!, PatchType.Merge, stop, "status");
    }
}
