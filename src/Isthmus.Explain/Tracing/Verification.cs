using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing;

/// <summary>What <c>isthmus verify</c> finds without starting anything: whether the clusters form one mesh, whether
/// gateways can be reached, and whether all workloads get calls.</summary>
/// <param name="Clusters">What the checks are based on.</param>
public sealed record Verification(IReadOnlyList<ClusterFacts> Clusters, IReadOnlyList<Check> Checks)
{
    /// <summary>How many proxies of each cluster are asked for their certificates.</summary>
    private const int MostProxies = 200;

    public static async Task<Verification> RunAsync(IReadOnlyList<ClusterAccess> access, string istioNamespace, TimeProvider time, CancellationToken stop)
    {
        var clients = access.Select(one => new KubeClient(one, "isthmus-verify")).ToList();
        try
        {
            return await RunAsync(clients, istioNamespace, time, stop);
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
        }
    }

    private static async Task<Verification> RunAsync(IReadOnlyList<KubeClient> clients, string istioNamespace, TimeProvider time, CancellationToken stop)
    {
        var lists = clients.Select(client => new ClusterLists(client, stop)).ToList();
        // The inventory lists all objects of its kinds, and what is asked of the mesh is a part of many.
        var (inventory, facts) = (new InventoryReader(istioNamespace, MostProxies) { Certificates = true, Time = time }, new MeshFactsReader(istioNamespace));
        var taking = Task.WhenAll(lists.Select(cluster => inventory.ReadAsync(cluster.Client.Access.Name, cluster, stop)));
        var reading = Task.WhenAll(lists.Select(cluster => facts.ReadPatientlyAsync(cluster, stop)));
        var inventories = await taking;
        var clusters = (await reading)
            .Select(cluster => CertificateVerification.WithHandshakes(cluster, inventories.FirstOrDefault(one => one.Context == cluster.Context))).ToList();
        var reaching = GatewayReachReader.ReadAsync(clusters, clients, stop);
        // A cluster that does not answer is reported once.
        var answering = clusters.Where(cluster => cluster is { Error: "", HasIstio: true }).Select(cluster => cluster.Context)
            .ToHashSet(StringComparer.Ordinal);
        // Services of clusters without Istio count for others. Whoever did not answer twice is not asked again.
        var silent = clusters.Where(cluster => cluster.Error.Length > 0).Select(cluster => cluster.Context).ToHashSet(StringComparer.Ordinal);
        var looking = WorkloadVerification.RunAsync(
            lists.Zip(inventories).Where(one => one.Second.Error.Length == 0 || !silent.Contains(one.Second.Context)), istioNamespace, time.GetUtcNow(), stop);
        var told = clusters.SelectMany(cluster => cluster.Problems).Select(problem => (problem.Code, problem.Object)).ToHashSet();
        return new(clusters,
            [.. MeshVerification.Run(clusters, time.GetUtcNow()),
                .. inventories.Where(one => answering.Contains(one.Context)).SelectMany(one => CertificateVerification.Checks(one, told)),
            .. CertificateVerification.Roots([.. inventories.Where(one => answering.Contains(one.Context))]),
            .. MissingDefinitions.Checks([.. inventories.Where(one => answering.Contains(one.Context))]),
            .. GatewayApiVerification.Checks([.. inventories.Where(one => answering.Contains(one.Context))]), .. GatewayReachReader.Checks(await reaching),
                .. EntryVerification.Checks(inventories).Where(check => answering.Contains(check.Cluster)),
                .. (await looking).Where(check => answering.Contains(check.Cluster))]);
    }
}
