using System.Text.RegularExpressions;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.History;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>
/// Finds what changed shortly before a failed call: the objects that the failure is about, then those that the call comes to, and what concerns the call and
/// can cause a failure at that hop. Of these, only what reached proxies: a change that did nothing, or of another kind, is not blamed.
/// </summary>
internal static partial class RecentChanges
{
    private const int Most = 5;

    /// <summary>How far back a change may still be the reason.</summary>
    internal static readonly TimeSpan Window = TimeSpan.FromMinutes(15);

    /// <summary>What makes Pods.</summary>
    internal static readonly string[] Templates = [.. MeshApi.All.Where(kind => kind.IsWorkload).Select(kind => kind.Kind)];

    // No object says which clusters there are, and that changes, too.
    private const string Cluster = "Cluster";

    private static readonly string[] Hosts = Deciding(CallPart.Hosts), Routes = Deciding(CallPart.Hosts | CallPart.Routes),
        Workloads = [.. Deciding(CallPart.Workloads), Cluster], Tls = [.. Deciding(CallPart.Tls), Cluster], Policies = Deciding(CallPart.Policies),
        Gateways = [.. Deciding(CallPart.Workloads | CallPart.Gateways), Cluster];

    /// <summary>The changes that may be the reason: those of the objects that the failure names first, and the latest first.</summary>
    internal static IReadOnlyList<MeshChange> For(CallTrace trace, CallPath path, MeshHistory history)
    {
        if (trace.Failure is not { } failure) return [];
        var newest = history.Changes.Where(change => path.IsConcernedBy(change) || IsNamed(failure, change) || IsGone(failure, change))
            .OrderByDescending(change => change.Last).ToList();
        // Whatever its kind, and whether it reached proxies or not: an object that has no effect may be what is wrong.
        var named = newest.Where(change => IsNamed(failure, change) || IsGone(failure, change)).ToList();
        var touched = newest.Where(change => !named.Contains(change) && path.Names(change) && DidSomething(change));
        var isByGateway = trace.Hops.Any(hop => hop.Name.StartsWith("gateway", StringComparison.Ordinal));
        // A call from outside finds the listeners, chains and routes that Gateways open.
        string[] kinds = isByGateway && KindsFor(failure) == Routes ? [.. Routes, .. Deciding(CallPart.Gateways)] : KindsFor(failure);
        // Where an object is known to be the cause, settings of the whole mesh are not.
        var isOther = Cause().Match(failure.Problem?.Object ?? "") is { Success: true } cause && cause.Groups[1].Value is not ("ConfigMap" or "Pod");
        var others = newest.Where(change => kinds.Contains(change.Kind) && DidSomething(change) && (isByGateway || !change.IsAtGateways)
            && !(isOther && change.IsEverything)
            // What was there before the object at fault changed was so while calls got through.
            && (named.Count == 0 || change.Last > named[0].Last));
        // What the call comes to may not have changed since the installation.
        return [.. named.Concat(touched.Concat(others).OrderByDescending(change => change.Last)).Distinct().Take(Most)];
    }

    /// <summary>Asks the control planes of the mesh for all that they remember, and workloads on the way for who wrote them. Those that do not answer
    /// contribute nothing.</summary>
    internal static async Task<MeshHistory> AskAsync(TraceFacts facts, CallPath path, IReadOnlyDictionary<string, KubeClient> clients, TimeProvider time,
        CancellationToken stop)
    {
        var readable = facts.Clusters.Where(cluster => cluster.Error.Length == 0).ToList();
        var places = readable.SelectMany(facts.ControlPlanesOf).Select(plane => (plane.At.Context, plane.Namespace)).Distinct();
        var history = await MeshHistory.AskAsync(places.Select(place => (clients[place.Context], place.Namespace)), new("", "", Window), stop);
        return await history.WithWorkloadsAsync(from cluster in readable from ns in path.Namespaces select (clients[cluster.Context], cluster.Id, ns),
            new WorkloadLists(time), (facts.TakenAt ?? facts.Now) - Window, stop);
    }

    private static bool DidSomething(MeshChange change) => change switch
    {
        { ReadyEndpoints: { } ready } => ready.After < ready.Before || ready.Fewest < ready.Before,
        { Kind: Cluster } => change.Verb is "lost" or "left",
        _ => change.Proxies is null or > 0 && change.Verb != "invalid",
    };

    /// <summary>The hop's finding is about the object that changed, or says that it takes part.</summary>
    private static bool IsNamed(Hop failure, MeshChange change) => failure.Problem is { } problem
        && CallPath.In($"{problem.Object}, {problem.Message}").Contains(CallPath.NameOf(change));

    /// <summary>The kind and the name of an object as problems name it.</summary>
    [GeneratedRegex("^([A-Z][A-Za-z]+) [^ /]+/[^ /]+( |$)")]
    private static partial Regex Cause();

    /// <summary>An address that no Service has may be that of one which was deleted.</summary>
    private static bool IsGone(Hop failure, MeshChange change) => failure.Problem?.Code == AddressCauses.Code && change is { Kind: "Service", Verb: "deleted" };

    private static string[] KindsFor(Hop failure) => failure.Name switch
    {
        "name" or "host" => Hosts,
        "listener" or "filter chain" or "route" or "cluster" => Routes,
        "service" or "endpoints" or "capacity" or "workload" => Workloads,
        "TLS" => Tls,
        "policy" => Policies,
        "inbound" => [.. Tls, .. Policies, MeshApi.Service.Name],
        "application" => Deciding(CallPart.Applications),
        var gateway when gateway.StartsWith("gateway", StringComparison.Ordinal) || gateway is "SNI" or "port" => Gateways,
        // Only the call itself failed: whatever concerns it may be the reason.
        "call" => [.. Gateways, .. Policies, .. Routes],
        _ => [],
    };

    private static string[] Deciding(CallPart parts) => [.. MeshApi.Deciding(parts)];
}
