using Isthmus.Core.Collections;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Resolve;
using Isthmus.Operate.Diagnose;
using Isthmus.Reports;
using Isthmus.WebConsole.Picture;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Answers;

/// <summary>Reads what is known of one service: its endpoints everywhere, and the rules for calls of it.</summary>
internal sealed class ServiceAnswer(MeshStateReader reader, TimeProvider time)
{
    /// <summary>The codes of what is wrong with clusters, and between them; and the one of them that is about a VirtualService.</summary>
    private const string MeshCodes = "ISM10", OfRoutes = "ISM1031";

    /// <exception cref="ProblemException">No cluster has the Service.</exception>
    public async Task<ServicePage> ReadAsync(MeshState mesh, IReadOnlyList<ProblemRow> problems, string ns, string name, CancellationToken stop)
    {
        var places = mesh.Clusters.SelectMany(cluster => cluster.Services.Where(service => service.Metadata.Namespace == ns && service.Metadata.Name == name)
            .Select(service => (Cluster: cluster, Service: service)))
            .ToList();
        if (places.Count == 0) throw new ProblemException($"Service {ns}/{name}", "is in none of the clusters", "select one in the topology");
        var asked = mesh.Clusters.Where(cluster => cluster.Facts.ControlPlanes.Any(pod => pod.Value)).ToList();
        var asking = Task.WhenAll(asked.Select(cluster => KnownAsync(cluster, $"{name}.{ns}.svc.{WellKnown.DefaultDomainSuffix}", ns, stop)));
        var rules = await Task.WhenAll(mesh.Clusters.Where(cluster => cluster.Facts.Error.Length == 0)
            .Select(cluster => RulesAsync(cluster, places, ns, name, stop)));
        var known = await asking;
        return new(ns, name,
            [.. places.Select(place => new ServicePlace(place.Cluster.Context, place.Service.Spec.Type, place.Service.Spec.ClusterIP,
                [.. place.Service.Spec.Ports.Select(
                    port =>
                        $"{(port.Name.Length > 0 ? $"{port.Name} " : "")}{port.Port} → "
                            + $"{port.TargetPort?.ToString() ?? $"{port.Port}"}{(port.Protocol == "TCP" ? "" : $" {port.Protocol}")}")],
                string.Join(", ", place.Service.Spec.Selector.Select(pair => $"{pair.Key}={pair.Value}"))))],
            [.. places.SelectMany(place => Endpoints(place.Cluster, place.Service, [.. asked.Zip(known, (cluster, answer) => (cluster.Context, answer))]))],
            [.. asked.Select(cluster => cluster.Context)], EffectiveRules.Mark([.. rules.SelectMany(one => one.Rules)]),
            [.. problems.Where(row => row.Names(ns, name))])
        {
            Around = Around(problems, [.. places.SelectMany(place => (string[])[place.Cluster.Context, place.Cluster.Name]).Distinct()], ns, name),
            Withheld = [.. rules.SelectMany(one => one.Withheld)],
        };
    }

    /// <summary>What is wrong with the mesh in the clusters that have the service, such as a gateway or a remote secret that is missing: it stops the
    /// calls of every service. Problems of other services are left out.</summary>
    internal static IReadOnlyList<ProblemRow> Around(IReadOnlyList<ProblemRow> problems, IReadOnlyCollection<string> clusters, string ns, string name) =>
        [.. problems.Where(row => row.FoundBy == "verify" && row.Problem.Severity > Severity.Info
            && row.Problem.Code.StartsWith(MeshCodes, StringComparison.Ordinal) && row.Problem.Code != OfRoutes && !row.Names(ns, name)
            && (clusters.Contains(row.Cluster) || clusters.Any(cluster => row.Problem.Message.Contains(cluster, StringComparison.Ordinal))))];

    private static IEnumerable<EndpointRow> Endpoints(ClusterState cluster, Service service, IReadOnlyList<(string Context, EndpointKnowledge? Known)> asked)
    {
        foreach (var slice in cluster.Slices.Where(slice => slice.Metadata.Namespace == service.Metadata.Namespace
            && slice.Metadata.Labels.GetValueOrDefault(Labels.ServiceName) == service.Metadata.Name))
        {
            foreach (var (endpoint, address) in slice.Endpoints.SelectMany(endpoint => endpoint.Addresses.Select(address => (endpoint, address))))
            {
                var pod = endpoint.TargetRef is { Kind: "Pod" } target
                    ? cluster.Pods.FirstOrDefault(pod => pod.Metadata.Name == target.Name && pod.Metadata.Namespace == service.Metadata.Namespace)
                    : null;
                yield return new(cluster.Context, address, endpoint.TargetRef?.Name ?? "", endpoint.Conditions.Ready ?? true,
                    pod is not null && ClusterState.HasProxy(pod), endpoint.Zone,
                    pod?.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? cluster.Facts.NetworkLabel,
                    asked.Where(one => one.Known is not null)
                        .ToDictionary(one => one.Context, one => one.Known!.Of(cluster.Name, address), StringComparer.Ordinal))
                {
                    OtherProxy = pod is null ? "" : ClusterState.OtherProxy(pod),
                };
            }
        }
    }

    private async Task<EndpointKnowledge?> KnownAsync(ClusterState cluster, string host, string ns, CancellationToken stop)
    {
        try
        {
            var query = new MeshQuery(reader.Client(cluster.Context), cluster.Facts.SystemNamespace);
            var (shards, clusters) = (query.AskControlPlanesAsync("/debug/endpointShardz", stop),
                query.ListOfControlPlanesAsync("/debug/clusterz", ControlPlaneReports.Default.WatchedReport, stop));
            // Of the first that tells: its replicas know the same.
            var told = (await shards).FirstOrDefault(answer => answer.Answer is not null);
            var watched = (await clusters).FirstOrDefault(answer => answer.Plane.Pod == told?.Pod)?.Page;
            return told?.Answer is { } known
                ? new(cluster.Name, EndpointKnowledge.ShardsOf(known, host, ns), watched ?? [], time.GetUtcNow())
                : null;
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException or JsonException)
        {
            return null;
        }
    }

    private async Task<(IReadOnlyList<RuleRow> Rules, IReadOnlyList<string> Withheld)> RulesAsync(ClusterState cluster,
        IReadOnlyList<(ClusterState Cluster, Service Service)> places, string ns, string name, CancellationToken stop)
    {
        var pods = places.SelectMany(place => TopologyBuilder.Behind(place.Cluster, place.Service)).Select(pod => pod.Metadata.Labels).ToList();
        var allowed = reader.Lists(cluster.Access, stop);
        var granting = GrantsAsync(allowed, cluster, places, ns, stop);
        var lists = await Task.WhenAll(EffectiveRules.Kinds.Select(kind => ListAsync(allowed, kind, stop)));
        var grants = await granting;
        return (EffectiveRules.Of(cluster.Context, lists.SelectMany(list => list), RuleSubject.Of(cluster, ns, name, pods, grants)),
            [.. allowed.Withheld.Select(line => $"{cluster.Context}: {line}")]);
    }

    /// <summary>The namespaces that the service lets configure its host; all where that does not matter, or is not known.</summary>
    private static async Task<ValueList<string>> GrantsAsync(AllowedLists allowed, ClusterState cluster,
        IReadOnlyList<(ClusterState Cluster, Service Service)> places, string ns, CancellationToken stop)
    {
        if (cluster.Facts.Mesh?.HostsAreOwned != true) return [HostOwners.Everybody];
        var owner = (await allowed.ListAsync<Namespace>(MeshApi.Namespace, stop)).FirstOrDefault(known => known.Metadata.Name == ns);
        return owner is null ? [HostOwners.Everybody] : places.Where(place => place.Cluster == cluster).Select(place => place.Service.Metadata.Annotations)
            .Append(owner.Metadata.Annotations).SelectMany(HostOwners.Grants).ToValueList();
    }

    private static async Task<IReadOnlyList<JsonObject>> ListAsync(AllowedLists allowed, KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            return await allowed.ListAsync<JsonObject>(kind, stop);
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // Istio's kinds are not defined here.
        }
    }
}

/// <summary>What one control plane knows of the endpoints of a host (<c>/debug/endpointShardz</c>, <c>/debug/clusterz</c>).</summary>
internal sealed class EndpointKnowledge(string own, IReadOnlyDictionary<string, IReadOnlyList<ShardEndpoint>> shards, IReadOnlyList<WatchedReport> clusters,
    DateTimeOffset now)
{
    /// <summary>Istio's word for the health of an endpoint, by its number.</summary>
    private static readonly string[] Healths = ["", "healthy", "unhealthy", "draining", "terminating"];

    /// <summary>The endpoints of a host, by shard.</summary>
    /// <param name="page">That of an istiod has shards by the namespace of the Service.</param>
    /// <exception cref="JsonException">The page has another form.</exception>
    public static IReadOnlyDictionary<string, IReadOnlyList<ShardEndpoint>> ShardsOf(JsonNode page, string host, string ns) =>
        (ConfigDump.At(page, host, ns, "Shards") ?? (ConfigDump.At(page, host) is JsonObject own && own.All(shard => shard.Value is JsonArray) ? own : null))
            ?.Deserialize(ControlPlaneReports.Default.ShardsOfHost) ?? [];

    /// <summary>Health and freshness; empty when it does not know the address.</summary>
    public string Of(string cluster, string address)
    {
        var endpoint = (shards.GetValueOrDefault($"Kubernetes/{cluster}") ?? [])
            .FirstOrDefault(one => one.Address == address || (one.Addresses ?? []).Contains(address));
        if (endpoint is null) return "";
        var line = clusters.FirstOrDefault(one => one.Id == cluster);
        return $"{HealthOf(endpoint)}, {(cluster == own ? "live" : EndpointSources.Freshness(line?.Source, line?.Confirmed, now))}";
    }

    private static string HealthOf(ShardEndpoint endpoint) =>
        endpoint.Health?.ToLowerInvariant() ?? (endpoint.HealthStatus is { } health ? Healths.ElementAtOrDefault(health) : null) ?? "unknown";
}
