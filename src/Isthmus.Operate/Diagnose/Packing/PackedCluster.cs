using System.Text.Json;
using System.Text.Json.Nodes;
using System.Web;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>A cluster as a pack describes it.</summary>
/// <param name="prefix">What precedes the paths of the API server.</param>
internal sealed class PackedCluster(MeshPack pack, PackedClusterEntry entry, string prefix) : ClusterStandIn
{
    private readonly PackedObjects _objects = new(pack, entry.Context);

    public override DateTimeOffset TakenAt => pack.Manifest.TakenAt;

    public override StandInAnswer Ask(string path)
    {
        if (entry.Error.Length > 0) throw new HttpRequestException($"no answer when the snapshot was made: {entry.Error}");
        var (resource, query) = path[prefix.Length..].Split('?', 2) is [var before, var after] ? (before, after) : (path[prefix.Length..], "");
        if (resource == "/version")
            return pack.FindText(PackLayout.ServerVersion(entry.Context)) is { } version
                ? StandInAnswer.Ok(version)
                : StandInAnswer.Refused(404, "NotFound", "the version is not in the snapshot");
        string[] parts = [.. resource.Split('/', StringSplitOptions.RemoveEmptyEntries).Select(Uri.UnescapeDataString)];
        var (group, rest) = parts is ["api", _, .. var core] ? ("", core) : parts is ["apis", var named, _, .. var others] ? (named, others) : ("", []);
        return rest switch
        {
            ["namespaces", var ns, var plural] => _objects.List(group, plural, ns, HttpUtility.ParseQueryString(query)),
            ["namespaces", var ns, var plural, var name] => _objects.Get(group, plural, ns, name),
            [var plural] => _objects.List(group, plural, "", HttpUtility.ParseQueryString(query)),
            [var plural, var name] => _objects.Get(group, plural, "", name),
            _ => StandInAnswer.Refused(404, "NotFound", $"the snapshot has no answer to {resource}"),
        };
    }

    public override StandInAnswer AskPod(string ns, string pod, int port, PodRequest request)
    {
        if (port == Ports.ProxyAdmin && request.Path.TrimStart('/').Split('?', 2) is ["reach", var asked])
            return PackedReach.Find(pack.FindText(PackLayout.Reach(entry.Context)), pod, HttpUtility.ParseQueryString(asked)["to"] ?? "")
                ?? throw Absent("reach");
        if (request.Method != "GET") throw new HttpRequestException($"a snapshot of {TakenAt:u} makes no calls");
        var (path, query) = request.Path.TrimStart('/').Split('?', 2) is [var before, var after] ? (before, after) : (request.Path.TrimStart('/'), "");
        if (port == Ports.ProxyAdmin) return AskProxy(PackLayout.Container(entry.Context, ns, pod, "istio-proxy"), path, query);
        if (port == Ports.DiscoveryHttp) return AskControlPlane(PackLayout.Container(entry.Context, ns, pod, "discovery"), path, query);
        throw Absent(path);
    }

    private StandInAnswer AskProxy(string folder, string path, string query)
    {
        if (pack.FindText($"{folder}/{PackLayout.Error}") is { } error) throw new HttpRequestException(error.Trim());
        return path switch
        {
            "inspect" => Inspect(folder, HttpUtility.ParseQueryString(query)["host"] ?? ""),
            "config_dump" => Ok(folder, PackLayout.Dump),
            "clusters" => Ok(folder, PackLayout.Clusters),
            "stats" => Ok(folder, PackLayout.Stats),
            _ => throw Absent(path),
        };
    }

    private StandInAnswer AskControlPlane(string folder, string path, string query)
    {
        if (pack.FindText($"{folder}/{path}.json") is { } page)
            return StandInAnswer.Ok(path == "debug/history" && query.Length > 0
                ? new PackedHistory(_objects, TakenAt).Answer(page, HttpUtility.ParseQueryString(query))
                : page);
        if (pack.FindText($"{folder}/{PackLayout.Lacking}") is { } lacking
            && StrictJson.Parse(lacking, PackJson.Default.IReadOnlyListString).Contains($"/{path}"))
            return StandInAnswer.Refused(404, "NotFound", $"the control plane has no page {path}");
        throw new HttpRequestException(pack.FindText($"{folder}/{PackLayout.Error}") is { } error ? error.Trim() : Absent(path).Message);
    }

    /// <summary>What a proxy of Isthmus says of itself; another one answers only Envoy's requests.</summary>
    private StandInAnswer Inspect(string folder, string host)
    {
        if (pack.FindText($"{folder}/{PackLayout.Pod}") is not { } text) throw Absent("inspect");
        var all = StrictJson.Parse(text, ProxyReports.Default.PodReport);
        // Names that the sidecar does not know are those of the cluster's DNS, which is not in the pack.
        var known = host.Length == 0 || all.Names is not { } names ? null : (all.Search ?? []).Select(domain => $"{host}.{domain}").Prepend(host)
            .Where(names.ContainsKey).Select(name => new NameReport(host, null, name, names[name], "sidecar")).FirstOrDefault();
        var pod = JsonSerializer.Serialize(all with { Names = null, Name = known ?? all.Name }, ProxyReports.Default.PodReport);
        return StandInAnswer.Ok(
            $"{{\"config_dump\":{pack.FindText($"{folder}/{PackLayout.Dump}") ?? "{}"},"
                + $"\"clusters\":{pack.FindText($"{folder}/{PackLayout.Clusters}") ?? "{}"},\"pod\":{pod}}}");
    }

    private StandInAnswer Ok(string folder, string name) => StandInAnswer.Ok(pack.FindText($"{folder}/{name}") ?? throw Absent(name));

    private HttpRequestException Absent(string what) => new($"the snapshot of {TakenAt:u} does not hold its answer to {what}");
}
