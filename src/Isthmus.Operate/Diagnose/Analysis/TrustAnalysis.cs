using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Why proxies do not trust each other, and since when. Pure.</summary>
public static class TrustAnalysis
{
    private static readonly string Restart = "kubectl --context={0} -n istio-system rollout restart deployment istiod; then restart the workloads";

    public static Analyzer Analyzer { get; } = new("trust.RootAnalyzer", "Checks that all control planes, namespaces and proxies have the same root",
        [OwnCodes.RootNotInForce, OwnCodes.LeftoverRoot, OwnCodes.StaleRootOfNamespace, OwnCodes.RootsDiffer, OwnCodes.StaleRootOfProxy], [],
        mesh => Check(mesh.Readable));

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters)
    {
        var installed = Installed(clusters);
        return installed.SelectMany(cluster => ControlPlane(cluster, installed).Concat(Leftovers(cluster))).Concat(Differences(clusters));
    }

    /// <summary>Clusters whose roots differ, so that their proxies refuse each other.</summary>
    public static IEnumerable<Finding> Differences(IReadOnlyList<ClusterInventory> clusters)
    {
        var installed = Installed(clusters);
        // The root that most clusters share counts as right.
        if (installed.MaxBy(cluster => installed.Count(other => other.Trust.InForce.Shares(cluster.Trust.InForce))) is not { } right) yield break;
        foreach (var other in installed.Where(other => !other.Trust.InForce.Shares(right.Trust.InForce)))
        {
            var why = string.Join("; ", new[] { right, other }.Select(cluster => $"{cluster.Context}: {Origin(cluster.Trust)}"));
            yield return Wrong(other, "ISM1454", $"ConfigMap {other.SystemNamespace}/{WellKnown.RootCertConfigMap}",
                $"the root {other.Trust.InForce} differs from {right.Context}'s {right.Trust.InForce}, so proxies of the two refuse each other ({why})",
                "give both clusters a 'cacerts' Secret of one root, restart control planes, then workloads");
        }
    }

    private static List<ClusterInventory> Installed(IReadOnlyList<ClusterInventory> clusters) =>
        [.. clusters.Where(cluster => cluster.Trust is { HasIstio: true, ServesElsewhere: false, InForce.IsKnown: true })];

    /// <summary>The control plane does not use the configured root.</summary>
    private static IEnumerable<Finding> ControlPlane(ClusterInventory cluster, List<ClusterInventory> all)
    {
        var trust = cluster.Trust;
        if (!trust.Given.IsKnown)
        {
            if (trust.Own.IsKnown && trust.Own == trust.InForce && trust is { OwnAt: { } made, InstalledAt: { } installed } && made < installed.AddMinutes(-1))
                yield return Wrong(cluster, "ISM1452", $"Secret istio-system/{WellKnown.SelfSignedCa}",
                    $"is older ({Time(made)}) than the installation ({Time(installed)}): it is left over from an earlier istio-system, and its root "
                        + $"{trust.Own} is in force again",
                    $"if you do not want that, delete the Secret and restart: kubectl --context={cluster.Context} -n istio-system delete secret "
                        + $"{WellKnown.SelfSignedCa}; {For(cluster)}",
                    Severity.Warning);
            yield break;
        }
        if (trust.Given.Shares(trust.InForce)) yield break;
        if (Separated(cluster, all) is { } separated)
        {
            yield return separated;
            yield break;
        }
        var late = trust is { GivenAt: { } given, ControlPlaneStarted: { } started } && given > started;
        yield return Wrong(cluster, "ISM1451", "Secret istio-system/cacerts",
            late || trust.Own == trust.InForce
                ? $"was created after the control plane started ({Time(trust.GivenAt)}; the control plane has run since {Time(trust.ControlPlaneStarted)}): "
                    + $"the root {trust.InForce}{(trust.Own == trust.InForce ? " that it made itself" : "")} is still in force instead of {trust.Given}"
                : $"holds the root {trust.Given}, but {trust.InForce} is in force",
            For(cluster));
    }

    /// <summary>
    /// The root in force is that of the other clusters, and the Secret's is not: a restart of the control plane, which would bring the Secret
    /// into force, would separate the cluster from the mesh.
    /// </summary>
    private static Finding? Separated(ClusterInventory cluster, List<ClusterInventory> all)
    {
        var trust = cluster.Trust;
        var others = all.Where(other => other != cluster).ToList();
        // What counts is what others use after their own next restart.
        int Sharing(Root root) => others.Count(other => (other.Trust.Given.IsKnown ? other.Trust.Given : other.Trust.InForce).Shares(root));
        if (Sharing(trust.InForce) == 0 || Sharing(trust.InForce) < Sharing(trust.Given)) return null;
        var model = others.First(other => other.Trust.InForce.Shares(trust.InForce) || other.Trust.Given.Shares(trust.InForce));
        return Wrong(cluster, "ISM1451", "Secret istio-system/cacerts",
            $"holds the root {trust.Given} ({Time(trust.GivenAt)}), which "
                + $"{string.Join(", ", others.Where(other => !other.Trust.InForce.Shares(trust.Given)).Select(other => other.Context))} does not trust; the "
                + $"root {trust.InForce} that {model.Context} uses too is still in force, until the control plane restarts",
            $"do not restart the control plane of {cluster.Context}: first replace the Secret with one whose root is that of {model.Context}; to change the "
                + $"root of the mesh, give every cluster a 'cacerts' whose root-cert.pem contains both roots");
    }

    /// <summary>Namespaces and Pods that still trust the previous root.</summary>
    private static IEnumerable<Finding> Leftovers(ClusterInventory cluster)
    {
        foreach (var (ns, root) in cluster.Trust.Namespaces.Where(item => !item.Value.Shares(cluster.Trust.InForce)))
        {
            yield return Wrong(cluster, "ISM1453", $"ConfigMap {ns}/{WellKnown.RootCertConfigMap}",
                $"names the root {root}, while {cluster.Trust.InForce} is in force: an earlier installation left it",
                "the control plane rewrites it if it has permission; check its log, or delete the ConfigMap");
        }
        foreach (var proxy in cluster.Trust.Proxies.Where(proxy => proxy.Root.IsKnown && !proxy.Root.Shares(cluster.Trust.InForce)))
        {
            yield return Wrong(cluster, "ISM1455", $"Pod {proxy.Namespace}/{proxy.Pod}",
                $"trusts the root {proxy.Root}, while {cluster.Trust.InForce} is in force: it was started {Time(proxy.Started)}, before the root changed",
                $"kubectl --context={cluster.Context} -n {proxy.Namespace} delete pod {proxy.Pod}");
        }
    }

    private static string Origin(TrustFacts trust) =>
        trust.InForce == trust.Given
            ? "from Secret cacerts"
            : trust.InForce == trust.Own
            ? "made by the control plane itself: there was no cacerts when it started"
            : "of unknown origin";

    private static string For(ClusterInventory cluster) => string.Format(CultureInfo.InvariantCulture, Restart, cluster.Context);

    private static string Time(DateTimeOffset? at) =>
        at is { } known ? known.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) : "at an unknown time";

    private static Finding Wrong(ClusterInventory cluster, string code, string @object, string message, string remedy, Severity severity = Severity.Error) =>
        new(cluster.Context, new(code, @object, "", message, remedy, severity));
}
