using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Why proxies do not trust each other, and since when. Pure.</summary>
public static class TrustAnalysis
{
    private static readonly string Restart = "kubectl --context={0} -n istio-system rollout restart deployment istiod, then restart the workloads";

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters)
    {
        var installed = clusters.Where(cluster => cluster.Trust is { HasIstio: true, InForce.IsKnown: true }).ToList();
        foreach (var cluster in installed)
        {
            foreach (var finding in ControlPlane(cluster).Concat(Leftovers(cluster))) yield return finding;
        }
        foreach (var other in installed.Skip(1).Where(other => !other.Trust.InForce.Shares(installed[0].Trust.InForce)))
        {
            var why = string.Join("; ", new[] { installed[0], other }.Select(cluster => $"{cluster.Context}: {Origin(cluster.Trust)}"));
            yield return Wrong(other, "ISM1454", "ConfigMap istio-system/istio-ca-root-cert",
                $"the root {other.Trust.InForce} differs from {installed[0].Context}'s {installed[0].Trust.InForce}, so proxies of the two refuse each other ({why})",
                "give both clusters a 'cacerts' Secret of one root, restart control planes, then workloads");
        }
    }

    /// <summary>The control plane does not use the configured root.</summary>
    private static IEnumerable<Finding> ControlPlane(ClusterInventory cluster)
    {
        var trust = cluster.Trust;
        if (!trust.Given.IsKnown)
        {
            if (trust.Own.IsKnown && trust.Own == trust.InForce && trust is { OwnAt: { } made, InstalledAt: { } installed } && made < installed.AddMinutes(-1))
                yield return Wrong(cluster, "ISM1452", $"Secret istio-system/{WellKnown.SelfSignedCa}",
                    $"is older ({Time(made)}) than the installation ({Time(installed)}): it is left over from an earlier istio-system, and its root {trust.Own} is in force again",
                    $"if you do not want that, delete the Secret and restart: kubectl --context={cluster.Context} -n istio-system delete secret {WellKnown.SelfSignedCa}; {For(cluster)}", Severity.Warning);
            yield break;
        }
        if (trust.Given.Shares(trust.InForce)) yield break;
        var late = trust is { GivenAt: { } given, ControlPlaneStarted: { } started } && given > started;
        yield return Wrong(cluster, "ISM1451", "Secret istio-system/cacerts",
            late || trust.Own == trust.InForce
                ? $"was created after the control plane started ({Time(trust.GivenAt)}; the control plane has run since {Time(trust.ControlPlaneStarted)}): the root {trust.InForce}{(trust.Own == trust.InForce ? " that it made itself" : "")} is still in force instead of {trust.Given}"
                : $"holds the root {trust.Given}, but {trust.InForce} is in force",
            For(cluster));
    }

    /// <summary>Namespaces and Pods that still trust the previous root.</summary>
    private static IEnumerable<Finding> Leftovers(ClusterInventory cluster)
    {
        foreach (var (ns, root) in cluster.Trust.Namespaces.Where(item => !item.Value.Shares(cluster.Trust.InForce)))
        {
            yield return Wrong(cluster, "ISM1453", $"ConfigMap {ns}/{WellKnown.RootCertConfigMap}", $"names the root {root}, while {cluster.Trust.InForce} is in force: an earlier installation left it",
                "the control plane rewrites it if it has permission; check its log, or delete the ConfigMap");
        }
        foreach (var proxy in cluster.Trust.Proxies.Where(proxy => proxy.Root.IsKnown && !proxy.Root.Shares(cluster.Trust.InForce)))
        {
            yield return Wrong(cluster, "ISM1455", $"Pod {proxy.Namespace}/{proxy.Pod}", $"trusts the root {proxy.Root}, while {cluster.Trust.InForce} is in force: it was started {Time(proxy.Started)}, before the root changed",
                $"kubectl --context={cluster.Context} -n {proxy.Namespace} delete pod {proxy.Pod}");
        }
    }

    private static string Origin(TrustFacts trust) =>
        trust.InForce == trust.Given ? "from Secret cacerts" : trust.InForce == trust.Own ? "made by the control plane itself: there was no cacerts when it started" : "of unknown origin";

    private static string For(ClusterInventory cluster) => string.Format(CultureInfo.InvariantCulture, Restart, cluster.Context);

    private static string Time(DateTimeOffset? at) => at is { } known ? known.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) : "at an unknown time";

    private static Finding Wrong(ClusterInventory cluster, string code, string @object, string message, string remedy, Severity severity = Severity.Error) =>
        new(cluster.Context, new(code, @object, "", message, remedy, severity));
}
