using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;

namespace Isthmus.WebConsole.Reading;

/// <summary>Reads all clusters through their API servers, with the rights of the user. It changes nothing.</summary>
internal sealed class MeshStateReader(IReadOnlyList<ClusterAccess> clusters, string istioNamespace, TimeProvider time) : IDisposable
{
    private const int MostNamespaces = 50;

    private readonly MeshFactsReader _facts = new(istioNamespace);
    private readonly Dictionary<string, KubeClient> _clients = clusters.ToDictionary(
        access => access.Name, access => new KubeClient(access, "isthmus-console") { RequestTimeout = TimeSpan.FromSeconds(6) }, StringComparer.Ordinal);

    /// <summary>Namespaces to read in clusters where the user may not read all. The namespace of the context, and that of the control
    /// plane, are read in any case.</summary>
    public IReadOnlyList<string> Namespaces { get; set => field = [.. value.Distinct(StringComparer.Ordinal).Take(MostNamespaces)]; } = [];

    public void Dispose()
    {
        foreach (var client in _clients.Values) client.Dispose();
    }

    public KubeClient Client(string context) => _clients[context];

    /// <summary>Lists with the user's rights.</summary>
    public AllowedLists Lists(ClusterAccess access, CancellationToken stop) => Lists(access, new ClusterLists(_clients[access.Name], stop));

    private AllowedLists Lists(ClusterAccess access, ClusterLists all) =>
        new(all,
            [.. Namespaces.Append(access.Namespace).Append(istioNamespace).Where(name => name.Length > 0).Distinct(StringComparer.Ordinal)]);

    /// <summary>Reads what the picture needs.</summary>
    /// <param name="early">Called with the services alone, before the control planes are asked: that takes as long again.</param>
    public async Task<MeshState> ReadAsync(CancellationToken stop, Action<MeshState>? early = null)
    {
        // The picture and the facts are views of the same lists.
        var lists = clusters.Select(access => new ClusterLists(_clients[access.Name], stop)).ToList();
        var listing = clusters.Zip(lists, (access, all) => ListAsync(access, all, stop)).ToList();
        if (early is not null) early(new(time.GetUtcNow(), [.. (await Task.WhenAll(listing)).Select(listed => listed with { IsPart = true })]));
        return new(time.GetUtcNow(), await Task.WhenAll(lists.Zip(listing, (all, listed) => ReadAsync(all, listed, stop))));
    }

    /// <summary>The services of a cluster.</summary>
    private async Task<ClusterState> ListAsync(ClusterAccess access, ClusterLists all, CancellationToken stop)
    {
        var (lists, facts) = (Lists(access, all), new ClusterFacts(access.Name, "") { SystemNamespace = istioNamespace });
        try
        {
            var (services, slices) = (lists.ListAsync<Service>(MeshApi.Service, stop), lists.ListAsync<EndpointSlice>(MeshApi.EndpointSlice, stop));
            var pods = await lists.ListAsync<Pod>(MeshApi.Pod, stop);
            return new(access, facts, await services, await slices, pods) { Withheld = lists.Withheld };
        }
        catch (Exception e) when (e is HttpRequestException or KubeException)
        {
            return new(access,
                facts with
                {
                    Error = e is HttpRequestException failed ? Unreachable.Describe(failed) : e.Message, ErrorStatus = (e as KubeException)?.Code ?? 0
                },
                [], [], []);
        }
    }

    private async Task<ClusterState> ReadAsync(ClusterLists lists, Task<ClusterState> listing, CancellationToken stop)
    {
        var facts = await _facts.ReadAsync(lists, stop);
        var listed = await listing;
        // The facts alone may have been readable, at a second attempt.
        if (listed.Facts.Error.Length > 0)
            return listed with { Facts = facts.Error.Length > 0 ? facts : facts with { Error = listed.Facts.Error, ErrorStatus = listed.Facts.ErrorStatus } };
        // What may be read is shown, and what may not is named.
        return facts.ErrorStatus == 403 ? listed with { Unverified = facts.Error } : listed with { Facts = facts };
    }
}
