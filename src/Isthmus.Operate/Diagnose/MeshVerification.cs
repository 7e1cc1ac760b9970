using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>One check: what was checked, and what is wrong with it (null when nothing is).</summary>
public sealed record Check(string Cluster, string What, string Found, Problem? Problem)
{
    /// <summary>Whether it could be checked.</summary>
    public bool IsKnown { get; init; } = true;
}

/// <summary>Decides whether clusters form one mesh, as a pure function of their facts.</summary>
public static partial class MeshVerification
{
    private const string Configuration = "configuration";

    /// <summary>How many meshes there are. A cluster whose control plane runs in another cluster and serves no one else is
    /// a mesh of its own.</summary>
    public static int CountMeshes(IReadOnlyList<ClusterFacts> clusters) =>
        Meshes([.. clusters.Where(cluster => cluster is { Error: "", HasIstio: true })]).Count();

    public static IReadOnlyList<Check> Run(IReadOnlyList<ClusterFacts> clusters, DateTimeOffset now)
    {
        var checks = new List<Check>();
        foreach (var cluster in clusters)
        {
            checks.Add(new(cluster.Context, "API server",
                cluster.Error.Length > 0
                    ? Refusal(cluster) is null ? "not reachable" : "refuses this user"
                    : cluster.FirstError.Length == 0
                    ? "reachable"
                    : $"reachable at the second attempt; the first: {cluster.FirstError}",
                cluster.Error.Length == 0 ? null
                : Wrong("ISM1001", cluster, "", cluster.Error, Refusal(cluster) ?? "start the cluster, or fix its entry in the kubeconfig")));
        }
        var members = clusters.Where(cluster => cluster.Error.Length == 0).ToList();
        foreach (var cluster in members) checks.AddRange(Alone(cluster, members, now));
        // Control planes that watch each other report the same about hosts that they share.
        var told = new HashSet<Problem>();
        checks.RemoveAll(check => check is { What: Configuration, Problem: { } problem } && !told.Add(problem));
        foreach (var mesh in Meshes(members)) checks.AddRange(Together(mesh, now));
        return checks;
    }

    private static string? Refusal(ClusterFacts cluster) => AccessRefusal.Remedy(cluster.Context, cluster.ErrorStatus, cluster.Error);

    private static IEnumerable<Check> Alone(ClusterFacts cluster, List<ClusterFacts> members, DateTimeOffset now)
    {
        if (!cluster.HasIstio)
        {
            if (cluster.Hosted.IsEmpty)
                yield return new(cluster.Context, "control plane", "none",
                    Wrong("ISM1002", cluster, "", "has no system namespace: nothing is installed",
                        Installation(cluster, members)));
            else yield return new(cluster.Context, "control plane",
                $"none of its own, those of {string.Join(", ", cluster.Hosted.Select(plane => plane.Cluster))}", null);
            yield break;
        }
        // First: a control plane that is gone took its webhook along, and the rest follows from that.
        if (cluster.Uninjected is { } asking)
            yield return new(cluster.Context, "injection webhook", asking.IsEmpty ? "none, and no namespace asks for sidecars" : "none", asking.IsEmpty ? null
                : Wrong("ISM1044", cluster, "", InjectorWebhook.Missing(asking), InjectorWebhook.Again(cluster.Context)));
        var ready = cluster.ControlPlanes.Count(pod => pod.Value);
        if (cluster.ControlPlanes.Count > 0)
        {
            yield return new(cluster.Context, "control plane", $"{ready} of {cluster.ControlPlanes.Count} ready", ready > 0 ? Stuck(cluster, now)
                : cluster.ScaledToZero.Length > 0 ? ScaledToZero(cluster, cluster.Context, cluster.SystemNamespace, cluster.ScaledToZero)
                : cluster.Unready.FirstOrDefault(pod => pod.LacksRights) is { } barred
                ? Wrong("ISM1003", cluster, "", $"no control plane is ready: {string.Join(", ", cluster.ControlPlanes.Keys)}; {barred.Reason}",
                    barred.Remedy(cluster.Context))
                : Wrong("ISM1003", cluster, "", $"no control plane is ready: {string.Join(", ", cluster.ControlPlanes.Keys)}",
                    $"inspect it with 'kubectl --context={cluster.Context} -n {cluster.SystemNamespace} describe deployment,pod -l app=istiod'"));
        }
        else if (HostOf(cluster, members) is (var host, { } plane))
        {
            foreach (var check in Hosted(cluster, host, plane)) yield return check;
        }
        else if (!cluster.ControlPlaneAt.IsEmpty)
        {
            yield return new(cluster.Context, "control plane", $"elsewhere, at {string.Join(",", cluster.ControlPlaneAt)}", null);
        }
        else if (members.All(other => other == cluster || other.ControlPlanes.Count == 0))
        {
            yield return new(cluster.Context, "control plane", "none",
                Wrong("ISM1003", cluster, "", "has no control plane, and neither does any other cluster", "run 'isthmus install' in one of them"));
        }
        else if (IsRobbed(cluster))
        {
            yield return new(cluster.Context, "control plane", "none",
                Wrong("ISM1003", cluster, "", $"has no control plane, and nothing that a remote cluster has: no webhook, no endpoints of Service "
                    + $"{cluster.SystemNamespace}/{WellKnown.Istiod}, no annotation {Annotations.ControlPlaneClusters} of its system namespace. If it had one, "
                    + "it was removed", InjectorWebhook.Again(cluster.Context)));
        }
        foreach (var check in IsRobbed(cluster) ? [] : Remote(cluster, members)) yield return check;
        foreach (var webhook in cluster.UntrustedWebhooks)
        {
            yield return new(cluster.Context, "injection webhook", webhook,
                Wrong("ISM1004", cluster, $"MutatingWebhookConfiguration {webhook}",
                    "its caBundle is not the root that proxies in this cluster trust, so Pods cannot be injected",
                "the control plane writes it: see its log; in a remote cluster it needs the annotation topology.istio.io/controlPlaneClusters"));
        }
        foreach (var withheld in cluster.Withheld) yield return new(cluster.Context, withheld.Part, withheld.Why, null) { IsKnown = false };
        foreach (var (webhook,
            fault) in cluster.Handshakes.Where(proof => proof.Value.Length > 0
                && !cluster.UntrustedWebhooks.Any(name => proof.Key.EndsWith($" {name}", StringComparison.Ordinal))))
        {
            yield return new(cluster.Context, "webhook", webhook.Split(' ')[^1], Wrong("ISM1004", cluster, webhook, fault,
                "the control plane writes the CA bundle: see its log. If its CA has expired, put a new one into the Secret cacerts"));
        }
        if (cluster is { Uninjected: null, UntrustedWebhooks.IsEmpty: true } && !cluster.Withholds(WithheldFacts.Webhooks)
            && cluster.Handshakes.All(proof => proof.Value.Length == 0))
            yield return new(cluster.Context, "injection webhook", cluster.Handshakes.Count > 0 ? "trusted" : "has the CA bundle of the mesh", null);
        foreach (var gateway in cluster.Gateways) yield return NetworkVerification.Gateway(cluster, gateway);
        foreach (var problem in cluster.Problems) yield return new(cluster.Context, Configuration, problem.Object, problem);
        if (cluster.Dns is { } dns)
        {
            yield return new(cluster.Context, "DNS", $"{dns.Service}: {dns.ReadyEndpoints} ready", dns.ReadyEndpoints > 0 ? null
                : Wrong("ISM1033", cluster, $"Service {dns.Service}",
                    "has no ready Pods, so no name is resolved in the cluster, except those that sidecars resolve",
                    $"kubectl --context={cluster.Context} -n {dns.Service.Split('/')[0]} get deployments,pods"));
        }
    }

    /// <summary>Whether it has neither a control plane nor anything that leads to one elsewhere: it is not a remote cluster with a wrong way.</summary>
    private static bool IsRobbed(ClusterFacts cluster) =>
        cluster is { Uninjected: not null, ControlPlanes.Count: 0, ControlPlaneAt.IsEmpty: true, ControlPlaneClusters.IsEmpty: true };

    /// <summary>Others serve, so that nobody notices before they are gone, too; null while one starts.</summary>
    private static Problem? Stuck(ClusterFacts cluster, DateTimeOffset now) => cluster.Unready.FirstOrDefault(pod => pod.IsStuck(now)) is not { } stuck ? null
        : Wrong("ISM1045", cluster, $"Pod {stuck.Namespace}/{stuck.Pod}",
            string.Create(CultureInfo.InvariantCulture, $"has not been ready for {Math.Floor((now - stuck.Since!.Value).TotalMinutes)} min: ")
                + $"{stuck.Reason}. Another control plane serves",
            stuck.Remedy(cluster.Context)) with { Severity = Severity.Warning };

    /// <summary>How a cluster becomes one of the others' mesh, or is left out.</summary>
    private static string Installation(ClusterFacts cluster, List<ClusterFacts> members)
    {
        var others = members.Where(other => other != cluster && other.HasIstio).ToList();
        return Member(cluster).Command([.. others.Where(other => other.ControlPlanes.Count > 0).Select(Member)])
            + (others.Count > 0 ? $"; or leave the cluster out: isthmus verify --contexts={string.Join(',', others.Select(other => other.Context))}" : "");
    }

    private static MemberInstallation Member(ClusterFacts cluster) =>
        new(cluster.Context, cluster.Name, cluster.NetworkLabel, cluster.MeshId, cluster.SystemNamespace, cluster.Root);

    /// <summary>A new remote secret does not help where roots differ.</summary>
    private const string OneRoot = "give all clusters a 'cacerts' Secret of one root, then restart control planes and workloads";

    private static IEnumerable<Check> Together(List<ClusterFacts> members, DateTimeOffset now)
    {
        var installed = members.Where(cluster => cluster.HasIstio).ToList();
        foreach (var check in Same(installed, "root of trust", "ISM1010", cluster => cluster.Root.IsKnown ? cluster.Root.ToString() : "",
            "proxies with different roots reject each other's certificates",
            OneRoot, (one, other) => one.Root.Shares(other.Root)))
                yield return check;
        foreach (var check in Names(installed)) yield return check;
        foreach (var check in Same(installed.Where(cluster => cluster.TrustDomain.Length > 0).ToList(), "trust domain", "ISM1011",
            cluster => cluster.TrustDomain,
            "identities of another trust domain are rejected",
            "set the same meshConfig.trustDomain, or add each one to meshConfig.trustDomainAliases of the other clusters; then restart the workloads",
            (one, other) => one.Takes(other) && other.Takes(one)))
                yield return check;
        foreach (var check in Same(installed.Where(cluster => cluster.MeshId.Length > 0).ToList(), "mesh ID", "ISM1012", cluster => cluster.MeshId,
            "the clusters belong to different meshes", "set the same values.global.meshID")) yield return check;

        foreach (var check in NetworkVerification.Of(installed).Concat(Watches(installed))) yield return check;
        foreach (var cluster in installed)
            foreach (var check in Secrets(cluster, members, now)) yield return check;
    }

    /// <summary>Every control plane must watch every other cluster of the mesh.</summary>
    private static IEnumerable<Check> Watches(List<ClusterFacts> installed)
    {
        foreach (var cluster in installed.Where(cluster => cluster.TellsWatched && cluster.ControlPlanes.Any(pod => pod.Value)
            && !cluster.Withholds(WithheldFacts.Reports)))
        {
            foreach (var watched in cluster.Watched)
            {
                if (RemoteSecretFaults.Astray(cluster.Context, cluster.SystemNamespace, watched, Named(installed)) is { } astray)
                {
                    yield return new(cluster.Context, "remote cluster", $"{watched.Id} is another cluster",
                        astray with { Object = $"{astray.Object} in {cluster.Context}" });
                    continue;
                }
                var broken = watched.Status != "synced" || watched.Message.Length > 0;
                var at = installed.FirstOrDefault(other => other.Name == watched.Id)?.Context;
                var renewal = watched.Renewal(at, cluster.Context, cluster.SystemNamespace);
                yield return new(cluster.Context, "remote cluster",
                    $"{watched.Id} {(broken && watched.Shown == "synced" ? "synced, with a problem" : watched.Shown)}", !broken ? null
                    : Wrong("ISM1020", cluster, watched.Place, watched.Message.Length > 0 ? watched.Message : $"cluster {watched.Id} is {watched.Shown}",
                        installed.Exists(other => other.Name == watched.Id && other.Root.IsKnown && cluster.Root.IsKnown && !other.Root.Shares(cluster.Root))
                            ? OneRoot : $"if the problem persists (the control plane keeps trying): {renewal}"));
                if (watched.Warning.Length > 0)
                    yield return new(cluster.Context, "remote cluster", $"{watched.Id} warns",
                        Wrong("ISM1022", cluster, watched.Place, $"{watched.Warning} (traffic is not affected yet)",
                            watched.IsExpiring ? renewal : "make the DNS of the control plane resolve the name") with
                        {
                            Severity = Severity.Warning,
                        });
            }
            foreach (var other in installed.Where(other => other != cluster && !(cluster.IsJoinedByNames && other.IsJoinedByNames) && other.Name.Length > 0
                && other.Name != cluster.Name && cluster.Watched.All(watched => watched.Id != other.Name)))
            {
                yield return new(cluster.Context, "remote cluster", $"{other.Name} unknown",
                    cluster.UnlabelledSecrets.FirstOrDefault(secret => secret.Cluster == other.Name) is { } lost
                    ? Wrong("ISM1021", cluster, $"Secret {lost.Secret}", $"its label {Labels.MultiCluster} {lost.Message}", lost.Remedy(cluster.Context))
                    : Wrong("ISM1021", cluster, "", $"its control plane does not watch {other.Name}, so services there are unknown here",
                    WatchedCluster.Beginning(cluster.Watched, WatchedCluster.Create(other.Context, other.Name, cluster.Context, cluster.SystemNamespace))));
            }
        }
    }

    private static IEnumerable<Check> Same(List<ClusterFacts> clusters, string what, string code, Func<ClusterFacts, string> value, string why, string remedy,
        Func<ClusterFacts, ClusterFacts, bool>? compatible = null)
    {
        if (clusters.Count == 0) yield break;
        bool Agree(ClusterFacts one, ClusterFacts other) => value(one) == value(other) || compatible?.Invoke(one, other) == true;
        // What most clusters have counts as right.
        var first = clusters.MaxBy(cluster => clusters.Count(other => Agree(cluster, other)))!;
        foreach (var cluster in clusters)
        {
            var differs = !Agree(cluster, first);
            yield return new(cluster.Context, what, value(cluster).Length == 0 ? "not there yet" : value(cluster), !differs ? null
                : Wrong(code, cluster, "", $"differs from {first.Context}'s ({value(first)}): {why}", remedy));
        }
    }

    internal static Problem Wrong(string code, ClusterFacts cluster, string @object, string message, string remedy) =>
        new(code, @object.Length == 0 ? $"cluster {cluster.Context}" : $"{@object} in {cluster.Context}", "", message, remedy);
}
