using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose;

/// <summary>How far a proxy follows its control plane.</summary>
/// <param name="Proxy">POD.NAMESPACE.</param>
/// <param name="State"><c>SYNCED</c>, <c>STALE</c>, or <c>ERROR</c>: it rejects a part.</param>
public sealed record ProxyState(string Proxy, string Cluster, string ControlPlane, string State);

/// <summary>Which proxies have what follows from an object, as all control planes of one cluster say.</summary>
/// <param name="Lagging">The control planes that have not pushed it yet.</param>
public sealed record Distribution(IReadOnlyList<string> Lagging, IReadOnlyList<ProxyState> Proxies)
{
    /// <summary>The control planes that cannot tell, and why: nothing is known of their proxies.</summary>
    public IReadOnlyList<Problem> Silent { get; init; } = [];

    public int Synced => Proxies.Count(proxy => proxy.State == "SYNCED");

    /// <summary>Whether this share of the proxies (0 to 1) has it.</summary>
    public bool Reaches(double threshold) => Lagging.Count == 0 && Synced >= threshold * Proxies.Count;

    /// <summary>The same for one proxy only: POD or POD.NAMESPACE.</summary>
    public Distribution Of(string proxy) => this with
    {
        Proxies = [.. Proxies.Where(known => known.Proxy == proxy
            || (!proxy.Contains('.', StringComparison.Ordinal) && known.Proxy.StartsWith(proxy + ".", StringComparison.Ordinal)))],
    };

    private const string Instead = "compare with 'isthmus proxy-status' and 'isthmus proxy-config', which read what the proxies themselves have";

    /// <param name="version">The object's resource version.</param>
    /// <exception cref="ProblemException">No control plane can tell.</exception>
    public static async Task<Distribution> AskAsync(MeshQuery query, KindDescriptor kind, string version, CancellationToken stop)
    {
        var all = await query.AskControlPlanesAsync($"/debug/distribution?resource={kind.CrdName}&resourceVersion={Uri.EscapeDataString(version)}",
            ControlPlaneReports.Default.DistributionReport, stop);
        var silent = all.Where(answer => answer.Page is null).Select(answer => query.Unknown(answer.Plane, "what its proxies have", Instead)).ToList();
        var answers = all.Where(answer => answer.Page is not null).Select(answer => (answer.Plane.Pod, Page: answer.Page!)).ToList();
        if (answers.Count == 0) throw new ProblemException(silent[0] with { Severity = Severity.Error });
        return new(
            [.. answers.Where(answer => !answer.Page.Published).Select(answer => answer.Pod)],
            [.. answers.SelectMany(answer => (answer.Page.Proxies ?? []).Select(proxy => new ProxyState(proxy.Proxy, proxy.ClusterId, answer.Pod, proxy.State)))
                .OrderBy(proxy => proxy.Proxy, StringComparer.Ordinal)])
                {
                    Silent = silent
                };
    }
}
