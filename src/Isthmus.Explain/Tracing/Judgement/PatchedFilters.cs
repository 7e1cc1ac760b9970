using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Explain.Tracing.Steps;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>
/// Proxies show which of their filters, limits and times end a call, and not who set them: problems name the Pod. Here they get the patch of the EnvoyFilter
/// that did.
/// </summary>
internal sealed class PatchedFilters(TraceFacts facts)
{
    private const string Filters = "envoy.filters.http.";

    private static readonly string[] OfRoutes = ["HTTP_ROUTE", "VIRTUAL_HOST", "ROUTE_CONFIGURATION"], OfClusters = ["CLUSTER"];

    public CallTrace In(CallTrace trace) => trace with
    {
        Hops = PlacedHop.Of(trace).Select(placed => Patched(placed) is { } patched ? placed.Hop with { Problem = patched } : placed.Hop).ToValueList(),
    };

    private Problem? Patched(PlacedHop at) => at.Hop.Problem switch
    {
        { Code: "ISM2094" } problem when problem.Path.StartsWith(Filters, StringComparison.Ordinal) => Of(problem, at, PodOf(problem), [],
            $"http.{problem.Path[Filters.Length..]}\"", $"http.{problem.Path[Filters.Length..]}."),
        { Code: LackedFilters.Code } problem => Of(problem, at, PodOf(problem), [], $"\"{problem.Path}\""),
        { Code: "ISM2088", Path: "stream_idle_timeout" } problem => Of(problem, at, PodOf(problem), [], "stream_idle_timeout"),
        { Code: IdleBlame.Code, Path: IdleCauses.Unknown } problem => Of(problem, at, PodOf(problem), [], $"\"{IdleCauses.Unknown}\""),
        { Code: "ISM2088" } problem when !HasTime(problem) => Of(problem, at, facts.Client, OfRoutes, "\"timeout\""),
        { Code: "ISM2114" } problem when problem.Object.StartsWith("MeshConfig", StringComparison.Ordinal) =>
            Of(problem, at, facts.Client, OfClusters, "connect_timeout"),
        { Code: "ISM2079" } problem when problem.Object == facts.Client.ToString() => Of(problem, at, facts.Client, OfClusters, "circuit_breakers"),
        _ => null,
    };

    /// <summary>The problem at the patch that has one of the words; null when no EnvoyFilter for the Pod has.</summary>
    /// <param name="places">What it is applied to; empty: anything.</param>
    private Problem? Of(Problem problem, PlacedHop at, PodRef? pod, string[] places, params string[] words)
    {
        if (pod is not { } name || facts.Clusters.FirstOrDefault(cluster => cluster.Context == name.Context) is not { } cluster
            || cluster.Pods.FirstOrDefault(one => PodRef.Of(cluster, one) == name) is not { } found) return null;
        var config = facts.ConfigOf(cluster);
        var labels = found.Metadata.Labels.ToValueMap();
        var context = ClusterObjects.IsGateway(found) ? "GATEWAY" : name == facts.Client ? "SIDECAR_OUTBOUND" : "SIDECAR_INBOUND";
        foreach (var filter in config.Istio<EnvoyFilter>().Where(one => one.AppliesTo(name.Namespace, facts.SettingsOf(cluster).Mesh.RootNamespace, labels)))
            foreach (var (index, patch) in config.PatchesOf(filter).Index())
                if ((places.Length == 0 || places.Contains(patch["applyTo"]?.ToString())) && IsFor(patch, at, context) && Has(patch["patch"]?["value"], words))
                    return problem with
                    {
                        Object = $"EnvoyFilter {filter.Namespace}/{filter.Name} in {config.Context}", Path = $"spec.configPatches[{index}].patch.value",
                        Message = (problem.Object == name.ToString() ? $"is for {name}: {problem.Message}" : problem.Message)
                            + (problem.Message.Contains(RefusingFilter.NoLimiter, StringComparison.Ordinal) ? Asked(patch["patch"]?["value"]) : ""),
                    };
        return null;
    }

    /// <summary>Whether a patch changes what calls use there: a cluster or a virtual host that it adds has a name of its own.</summary>
    private static bool IsFor(JsonObject patch, PlacedHop at, string context)
    {
        var (match, name) = (patch["match"], patch["applyTo"]?.ToString() switch { "CLUSTER" => at.Cluster, "VIRTUAL_HOST" => at.VirtualHost, _ => null });
        if (match?["context"]?.ToString() is { } wanted && wanted != "ANY" && wanted != context) return false;
        if (name is not null && patch["patch"]?["operation"]?.ToString() == "ADD") return patch["patch"]?["value"]?["name"]?.ToString() == name;
        if (match?["cluster"] is { } cluster && !PatchSet.Matches(new(Text(cluster["name"]), Text(cluster["service"]), Text(cluster["subset"]),
            int.TryParse(Text(cluster["portNumber"]), out var port) ? port : 0), at.Cluster, [])) return false;
        return Text(match?["routeConfiguration"]?["vhost"]?["name"]) is var host && (host.Length == 0 || host == at.VirtualHost);

        static string Text(JsonNode? node) => node?.ToString() ?? "";
    }

    /// <summary>The server that a filter asks, by the cluster that it names, and whether there is one; empty when it names none.</summary>
    private string Asked(JsonNode? value)
    {
        if (NameIn(value, "cluster_name") is not { } name) return "";
        if (!ResourceNames.TryParseOutbound(name, out var port, out _, out var host, out _)) return $"; it is cluster {name}";
        var missing = facts.Host(host) is not { } known ? ", and no Service or ServiceEntry has that name"
            : known.Services.Count > 0 && known.Services.All(service => service.Port(port) is null) ? $", and {known.Services[0].Name} has no such port" : "";
        return $"; it is {host}:{port}{missing}";
    }

    private static string? NameIn(JsonNode? value, string field) => value switch
    {
        JsonObject item => item.Where(pair => pair.Key.Replace("_", "", StringComparison.Ordinal).Equals(field.Replace("_", "", StringComparison.Ordinal),
            StringComparison.OrdinalIgnoreCase)).Select(pair => pair.Value?.ToString()).FirstOrDefault()
            ?? item.Select(pair => NameIn(pair.Value, field)).FirstOrDefault(found => found is not null),
        JsonArray list => list.Select(one => NameIn(one, field)).FirstOrDefault(found => found is not null),
        _ => null,
    };

    /// <summary>Names of fields may be written in two ways.</summary>
    private static bool Has(JsonNode? value, string[] words)
    {
        if (value is null) return false;
        var text = Plain(value.ToJsonString());
        return words.Any(word => text.Contains(Plain(word), StringComparison.Ordinal));

        static string Plain(string text) => text.Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();
    }

    private PodRef? PodOf(Problem problem) => (from cluster in facts.Clusters
                                               from pod in cluster.Pods
                                               let name = PodRef.Of(cluster, pod)
                                               where name.ToString() == problem.Object
                                               select (PodRef?)name).FirstOrDefault();

    /// <summary>Whether the object that is named sets a time for its routes.</summary>
    private bool HasTime(Problem problem)
    {
        var config = facts.ConfigOf(facts.Home);
        return config.Istio<VirtualService>().FirstOrDefault(one =>
            problem.Object == $"VirtualService {one.Namespace}/{one.Name} in {config.Context}") is { } own
            ? own.Http.Any(route => route.Timeout is not null || route.Retries?.PerTryTimeout is not null)
            : problem.Object != facts.Client.ToString();
    }
}
