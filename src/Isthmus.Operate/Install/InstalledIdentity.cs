using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;
using Isthmus.Operate.Inventory;

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
        return await client.FindAsync<ConfigMap>(Kinds.ConfigMap, names.Namespace, names.InjectorConfigMap, stop) is { } map ? Changes(map, spec) : [];
    }

    /// <summary>Another revision in the same namespace is of the same cluster: its proxies and those of the new one must know it by the same names.</summary>
    /// <param name="remedy">What to do, given the ConfigMap if it is of another revision; null for what flags of an installation do.</param>
    /// <param name="note">Receives what the user may not look at, and names that change.</param>
    /// <exception cref="ProblemException">The installation leaves out what is installed.</exception>
    public static async Task CheckAsync(KubeClient client, OperatorSpec spec, Func<ConfigMap?, string>? remedy, Action<string> note, CancellationToken stop)
    {
        if (!spec.Enabled("pilot")) return;
        var names = new IstiodObjects.Names(spec);
        var maps = (await MapsAsync(client, names, note, stop)).ToList()
            .OrderBy(map => map.Metadata.Name == names.InjectorConfigMap ? 0 : 1).ThenBy(map => map.Metadata.Name, StringComparer.Ordinal);
        foreach (var map in maps)
        {
            var isOwn = map.Metadata.Name == names.InjectorConfigMap;
            var lost = Changes(map, spec).Where(change => change is { Now.Length: > 0, Next.Length: 0 }).ToList();
            if (lost.Count == 0) continue;
            var where = isOwn ? "there" : $"in ConfigMap {map.Metadata.Namespace}/{map.Metadata.Name}";
            throw new ProblemException($"the installation in {client.Access.Name}",
                $"leaves out {string.Join(" and ", lost.Select(change => $"values.{change.Path}, which is '{change.Now}' {where}"))}: running proxies and "
                    + "other clusters know the cluster by it",
                remedy?.Invoke(isOwn ? null : map)
                    ?? $"give it again: {string.Join(' ', lost.Select(change => $"--set values.{change.Path}={change.Now}"))}; or give another one to "
                        + "change it");
        }
        await NotOfOthersAsync(client, spec, maps, stop);
        if (maps.FirstOrDefault(map => map.Metadata.Name == names.InjectorConfigMap) is { } own)
            foreach (var change in Changes(own, spec).Where(change => change is { Now.Length: > 0, Next.Length: > 0 }))
                note($"The installation will {change} in {client.Access.Name}: Pods that run and remote secrets in other clusters have the old one. If that is "
                    + "not meant, this is the file of another cluster.");
    }

    /// <summary>The file of one cluster is easily installed into another one.</summary>
    /// <exception cref="ProblemException">A remote secret says that another cluster has the name.</exception>
    private static async Task NotOfOthersAsync(KubeClient client, OperatorSpec spec, IEnumerable<ConfigMap> maps, CancellationToken stop)
    {
        IReadOnlyList<Secret> secrets;
        try
        {
            secrets = await client.ListAllAsync<Secret>(Kinds.Secret, spec.Namespace, new ListOptions { LabelSelector = $"{Labels.MultiCluster}=true" }, stop);
        }
        catch (KubeException e) when (e.Code == 403)
        {
            return;
        }
        if (secrets.SelectMany(RemoteSecretFacts.Read).FirstOrDefault(entry => !entry.IsConfig && entry.Cluster == spec.ClusterName
            && entry.Server != client.Access.Server.ToString().TrimEnd('/')) is not { } other) return;
        var now = maps.Select(map => Values(map)?["global"]?["multiCluster"]?["clusterName"]?.ToString())
            .FirstOrDefault(name => !string.IsNullOrEmpty(name));
        // Whoever had the name before has an entry that was ignored.
        if (now == spec.ClusterName) return;
        throw new ProblemException($"the installation in {client.Access.Name}",
            $"calls the cluster '{spec.ClusterName}', and by Secret {other.Secret}, another cluster of the mesh has this name"
                + $"{(other.Server.Length > 0 ? $" ({other.Server})" : "")}: each would hide the Pods of the other"
                + (string.IsNullOrEmpty(now) ? "" : $". It is installed as '{now}' now"),
            "install with the file of this cluster"
                + (string.IsNullOrEmpty(now) ? ", or another values.global.multiCluster.clusterName"
                    : $", or --set values.global.multiCluster.clusterName={now}")
                + "; if the Secret is a leftover, delete it first");
    }

    /// <summary>The revision that an injector's ConfigMap is of.</summary>
    internal static string RevisionOf(ConfigMap map) =>
        map.Metadata.Name == IstiodObjects.Names.Injector ? "default" : map.Metadata.Name[(IstiodObjects.Names.Injector.Length + 1)..];

    /// <summary>Those of all revisions, or where the user may not list them, that of the own one.</summary>
    private static async Task<IEnumerable<ConfigMap>> MapsAsync(KubeClient client, IstiodObjects.Names names, Action<string> note, CancellationToken stop)
    {
        try
        {
            return (await client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, names.Namespace, new ListOptions(), stop))
                .Where(map => map.Metadata.Name == IstiodObjects.Names.Injector
                    || map.Metadata.Name.StartsWith($"{IstiodObjects.Names.Injector}-", StringComparison.Ordinal));
        }
        catch (KubeException e) when (e.Code == 403)
        {
            note($"Other revisions in {names.Namespace} were not looked at: you may not list ConfigMaps there. They may know the cluster by other names.");
            return await client.FindAsync<ConfigMap>(Kinds.ConfigMap, names.Namespace, names.InjectorConfigMap, stop) is { } own ? [own] : [];
        }
    }

    private static IReadOnlyList<Change> Changes(ConfigMap map, OperatorSpec spec) => Values(map) is { } present
        ? [.. from path in Paths
              let now = path.Aggregate((JsonNode?)present, (node, key) => (node as JsonObject)?[key])?.ToString() ?? ""
              let next = spec.Value(path)?.ToString() ?? ""
              where now != next && !(path[^1] == "clusterName" && now == spec.ClusterName)
              select new Change(string.Join('.', path), now, next)]
        : [];

    private static JsonNode? Values(ConfigMap map)
    {
        try { return map.Data.GetValueOrDefault("values") is { } text ? StrictJson.Parse(text) : null; }
        catch (JsonException) { return null; }
    }
}
