using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.MeshFile;

/// <summary>One cluster of a mesh, with the connection to its API server.</summary>
public sealed class ClusterLink(ClusterSpec cluster, KubeClient client) : IDisposable
{
    public ClusterSpec Cluster => cluster;

    public KubeClient Client => client;

    public string Name => cluster.Name;

    /// <summary>The API server's address, as Pods of other clusters reach it.</summary>
    public string Server => cluster.Server.Length > 0 ? cluster.Server : client.Access.Server.ToString().TrimEnd('/');

    public void Dispose() => client.Dispose();
}

/// <summary>The API servers of all clusters of a mesh.</summary>
public sealed class MeshLinks : IDisposable
{
    private MeshLinks(IReadOnlyList<ClusterLink> all) => All = all;

    public IReadOnlyList<ClusterLink> All { get; }

    public ClusterLink this[string name] => All.First(link => link.Name == name);

    /// <summary>Finds every context, queries every API server, and reports all problems at once.</summary>
    /// <param name="load">Loads a context of the kubeconfig.</param>
    /// <param name="contexts">The existing names, for messages.</param>
    /// <exception cref="MeshProblemsException">A context or a cluster does not match the file.</exception>
    public static async Task<MeshLinks> OpenAsync(MeshSpec mesh, Func<string, ClusterAccess> load, IReadOnlyList<string> contexts, CancellationToken stop)
    {
        var problems = new List<Problem>();
        var links = new List<ClusterLink>();
        for (var i = 0; i < mesh.Clusters.Count; i++)
        {
            var (cluster, path) = (mesh.Clusters[i], $"spec.clusters[{i}].context");
            if (!contexts.Contains(cluster.Context))
            {
                problems.Add(new("ISM0321", mesh.Source, path, $"'{cluster.Context}' is not a context in the kubeconfig",
                    contexts.Count == 0 ? "the kubeconfig has no contexts; specify another with --kubeconfig" : $"contexts: {string.Join(", ", contexts)}"));
                continue;
            }
            try { links.Add(new(cluster, new KubeClient(load(cluster.Context), "isthmus-mesh"))); }
            catch (ProblemException e)
            {
                problems.Add(new("ISM0321", mesh.Source, path, $"'{cluster.Context}' cannot be used: {e.Message}", "fix its entry in the kubeconfig"));
            }
        }
        var opened = new MeshLinks(links);
        try
        {
            problems.AddRange(await opened.CheckAsync(mesh, stop));
            return problems.Count == 0 ? opened : throw new MeshProblemsException(problems);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (var link in All) link.Dispose();
    }

    private async Task<IEnumerable<Problem>> CheckAsync(MeshSpec mesh, CancellationToken stop)
    {
        var facts = await Task.WhenAll(All.Select(link => ReadAsync(link, stop)));
        var problems = new List<Problem>();
        foreach (var (link, fact) in All.Zip(facts))
        {
            var path = $"spec.clusters[{mesh.Clusters.ToList().IndexOf(link.Cluster)}]";
            if (fact.Error.Length > 0)
            {
                problems.Add(new("ISM0322", mesh.Source, $"{path}.context", $"'{link.Cluster.Context}' does not respond: {fact.Error}",
                    "start the cluster, or fix its entry in the kubeconfig"));
                continue;
            }
            if (All.Zip(facts).TakeWhile(pair => pair.First != link).FirstOrDefault(pair => pair.Second.Uid == fact.Uid).First is { } same)
                problems.Add(new("ISM0323", mesh.Source, $"{path}.context", $"'{link.Cluster.Context}' leads to the same cluster as '{same.Cluster.Context}'",
                    "specify the context of another cluster"));
            if (mesh.Clusters.Count > 1 && new Uri(link.Server).IsLoopback)
                problems.Add(new("ISM0324", mesh.Source, link.Cluster.Server.Length > 0 ? $"{path}.server" : path,
                    $"the API server of '{link.Name}' is {link.Server}, which other clusters cannot reach",
                    $"set {path}.server to an address that Pods of the other clusters can reach"));
            foreach (var (other, theirs) in All.Zip(facts).TakeWhile(pair => pair.First != link)
                .Where(pair => pair.First.Cluster.Network == link.Cluster.Network && pair.Second.Uid != fact.Uid))
            {
                foreach (var range in fact.PodRanges)
                {
                    if (theirs.PodRanges.FirstOrDefault(range.Overlaps) is var clash && clash != default)
                        problems.Add(new("ISM0325", mesh.Source, $"{path}.network",
                            $"'{link.Cluster.Network}' is a single flat network, but Pods of '{link.Name}' are in {range} and those of '{other.Name}' in "
                                + $"{clash}",
                            "give each cluster its own range, or put the clusters on different networks"));
                }
            }
        }
        return problems;
    }

    private sealed record Facts(string Error, string Uid, IReadOnlyList<Cidr> PodRanges);

    private static async Task<Facts> ReadAsync(ClusterLink link, CancellationToken stop)
    {
        try
        {
            var uid = link.Client.GetAsync<Namespace>(Kinds.Namespace, null, "kube-system", stop);
            var nodes = link.Client.ListAllAsync<JsonObject>(Kinds.Node, null, new ListOptions(), stop);
            var ranges = (await nodes).SelectMany(node => node["spec"]?["podCIDRs"] as JsonArray ?? [])
                .Select(range => Cidr.TryParse(range?.ToString(), out var cidr) ? cidr : default).Where(range => range != default).Distinct();
            return new("", (await uid).Metadata.Uid, [.. ranges]);
        }
        catch (HttpRequestException e)
        {
            return new(e.InnerException?.Message ?? e.Message, "", []);
        }
        catch (KubeException e)
        {
            return new(e.Message, "", []);
        }
    }
}
