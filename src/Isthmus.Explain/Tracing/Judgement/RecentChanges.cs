using System.Text.RegularExpressions;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.History;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>
/// Finds what changed shortly before a failed call. It only names changes that reached proxies and that can cause a failure at that hop: a
/// change that did nothing, or of another kind, is not blamed.
/// </summary>
internal static partial class RecentChanges
{
    private const int Most = 3;

    /// <summary>How far back a change may still be the reason.</summary>
    internal static readonly TimeSpan Window = TimeSpan.FromMinutes(15);

    private static readonly string[] Hosts = ["Service", "ServiceEntry", "ServiceExport", "ServiceImport", "Sidecar", "Namespace", "ConfigMap"];
    private static readonly string[] OfGatewayApi = [.. MeshApi.All.Where(kind => kind.IsOfGatewayApi).Select(kind => kind.Name)];
    private static readonly string[] Routes = ["VirtualService", "DestinationRule", "EnvoyFilter", .. OfGatewayApi, .. Hosts];
    private static readonly string[] Workloads = ["Endpoints", "Service", "DestinationRule", "ServiceEntry", "WorkloadEntry", "Sidecar", "Cluster", "ConfigMap",
        "Namespace", "VirtualService"];
    private static readonly string[] Tls = ["PeerAuthentication", "DestinationRule", "EnvoyFilter", "ConfigMap", "Secret", "Cluster", "Endpoints", "Sidecar"];
    private static readonly string[] Policies = ["AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication", "EnvoyFilter", "ConfigMap", "Sidecar"];
    private static readonly string[] Gateways = ["Gateway", .. OfGatewayApi, .. Workloads, "EnvoyFilter"];

    /// <summary>The newest changes that may be the reason, the latest first.</summary>
    internal static IReadOnlyList<MeshChange> For(CallTrace trace, MeshHistory history)
    {
        if (trace.Failure is not { } failure) return [];
        var newest = history.Changes.Where(DidSomething).OrderByDescending(change => change.Last).ToList();
        // The object that the failure is about changed, of whatever kind it is: no other change is the reason.
        var named = newest.Where(change => IsNamed(failure, change)).ToList();
        if (named.Count > 0) return [.. named.Take(Most)];
        var kinds = KindsFor(failure);
        var isByGateway = trace.Hops.Any(hop => hop.Name.StartsWith("gateway", StringComparison.Ordinal));
        // Where an object is known to be the cause, settings of the whole mesh are not.
        var isOther = Cause().Match(failure.Problem?.Object ?? "") is { Success: true } cause && cause.Groups[1].Value is not ("ConfigMap" or "Pod");
        return [.. newest.Where(change => kinds.Contains(change.Kind) && (isByGateway || !change.IsAtGateways) && !(isOther && change.IsEverything))
            .Take(Most)];
    }

    /// <summary>Asks the control planes of the mesh. Those that do not answer contribute nothing.</summary>
    internal static async Task<MeshHistory> AskAsync(TraceFacts facts, string host, IReadOnlyDictionary<string, KubeClient> clients, CancellationToken stop)
    {
        var places = facts.Clusters.Where(cluster => cluster.Error.Length == 0).SelectMany(facts.ControlPlanesOf)
            .Select(plane => (plane.At.Context, plane.Namespace)).Distinct();
        return await MeshHistory.AskAsync(places.Select(place => (clients[place.Context], place.Namespace)),
            new(host, $"{facts.Client.Namespace}/{facts.Client.Name}", Window), stop);
    }

    private static bool DidSomething(MeshChange change) => change switch
    {
        { ReadyEndpoints: { } ready } => ready.After < ready.Before || ready.Fewest < ready.Before,
        { Kind: "Cluster" } => change.Verb is "lost" or "left",
        _ => change.Proxies is null or > 0 && change.Verb != "invalid",
    };

    /// <summary>The hop's finding is about the object that changed. Findings call a Gateway of the Gateway API as Istio's, without its group.</summary>
    private static bool IsNamed(Hop failure, MeshChange change) =>
        failure.Problem is { } problem
        && $"{problem.Object} ".StartsWith($"{change.Kind.Split('.')[0]} {change.Namespace}/{change.Name} ", StringComparison.Ordinal);

    /// <summary>The kind and the name of an object as problems name it.</summary>
    [GeneratedRegex("^([A-Z][A-Za-z]+) [^ /]+/[^ /]+( |$)")]
    private static partial Regex Cause();

    private static string[] KindsFor(Hop failure) => failure.Name switch
    {
        "name" or "host" => Hosts,
        "listener" or "filter chain" or "route" or "cluster" => Routes,
        "service" or "endpoints" or "capacity" or "workload" => Workloads,
        "TLS" => Tls,
        "policy" => Policies,
        "inbound" => [.. Tls, .. Policies, "Service"],
        "application" => ["Endpoints", "Service", "EnvoyFilter", "Sidecar"],
        var gateway when gateway.StartsWith("gateway", StringComparison.Ordinal) || gateway == "SNI" => Gateways,
        // Only the call itself failed: whatever concerns it may be the reason.
        "call" => [.. Gateways, .. Policies, .. Routes],
        _ => [],
    };
}
