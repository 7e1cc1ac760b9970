using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>The names by which an installed control plane knows its cluster, mesh and network. Proxies that run have them, and so have remote secrets:
/// they are not changed by leaving them out.</summary>
internal static class InstalledIdentity
{
    /// <param name="Path">Below <c>values</c>.</param>
    internal sealed record Change(string Path, string Now, string Next)
    {
        public override string ToString() => $"change values.{Path} from '{Now}' to '{Next}'";
    }

    private static readonly string[][] Paths = [["global", "meshID"], ["global", "network"], ["global", "multiCluster", "clusterName"]];

    /// <summary>What an installation of the same revision would change; nothing where none is installed.</summary>
    public static async Task<IReadOnlyList<Change>> ChangesAsync(KubeClient client, OperatorSpec spec, CancellationToken stop)
    {
        var names = new IstiodObjects.Names(spec);
        if (await client.FindAsync<ConfigMap>(Kinds.ConfigMap, names.Namespace, names.InjectorConfigMap, stop) is not { } map || Values(map) is not { } present)
            return [];
        return [.. from path in Paths
                   let now = path.Aggregate((JsonNode?)present, (node, key) => (node as JsonObject)?[key])?.ToString() ?? ""
                   let next = spec.Value(path)?.ToString() ?? ""
                   where now != next && !(path[^1] == "clusterName" && now == spec.ClusterName)
                   select new Change(string.Join('.', path), now, next)];
    }

    /// <exception cref="ProblemException">The installation leaves out what is installed.</exception>
    public static async Task CheckAsync(KubeClient client, OperatorSpec spec, CancellationToken stop)
    {
        if (!spec.Enabled("pilot")) return;
        var lost = (await ChangesAsync(client, spec, stop)).Where(change => change is { Now.Length: > 0, Next.Length: 0 }).ToList();
        if (lost.Count == 0) return;
        throw new ProblemException($"the installation in {client.Access.Name}",
            $"leaves out {string.Join(" and ", lost.Select(change => $"values.{change.Path}, which is '{change.Now}' there"))}: running proxies and other "
                + "clusters know the cluster by it",
            $"give it again: {string.Join(' ', lost.Select(change => $"--set values.{change.Path}={change.Now}"))}; or give another one to change it");
    }

    private static JsonNode? Values(ConfigMap map)
    {
        try { return map.Data.GetValueOrDefault("values") is { } text ? StrictJson.Parse(text) : null; }
        catch (JsonException) { return null; }
    }
}
