using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;

namespace Isthmus.WebConsole.Reading;

/// <summary>Reads all clusters through their API servers, with the rights of the user. It changes nothing.</summary>
internal sealed class MeshStateReader(IReadOnlyList<ClusterAccess> clusters, string istioNamespace, TimeProvider time) : IDisposable
{
    private readonly MeshFactsReader _facts = new(istioNamespace);
    private readonly Dictionary<string, KubeClient> _clients = clusters.ToDictionary(
        access => access.Name, access => new KubeClient(access, "isthmus-console") { RequestTimeout = TimeSpan.FromSeconds(8) }, StringComparer.Ordinal);

    public void Dispose()
    {
        foreach (var client in _clients.Values) client.Dispose();
    }

    public KubeClient Client(string context) => _clients[context];

    public async Task<MeshState> ReadAsync(CancellationToken stop) => new(time.GetUtcNow(), await Task.WhenAll(clusters.Select(access => ReadAsync(access, stop))));

    private async Task<ClusterState> ReadAsync(ClusterAccess access, CancellationToken stop)
    {
        var client = _clients[access.Name];
        var reading = _facts.ReadAsync(access.Name, access, stop);
        try
        {
            var services = client.ListAllAsync<Service>(Kinds.Service, null, new ListOptions(), stop);
            var slices = client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, null, new ListOptions(), stop);
            var pods = await client.ListAllAsync<Pod>(Kinds.Pod, null, new ListOptions(), stop);
            return new(access, await reading, await services, await slices, pods);
        }
        catch (Exception e) when (e is HttpRequestException or KubeException)
        {
            var facts = await reading;
            // The facts alone may have been readable, at a second attempt.
            return new(access, facts.Error.Length > 0 ? facts : facts with { Error = e is HttpRequestException failed ? Unreachable.Describe(failed) : e.Message }, [], [], []);
        }
    }
}
