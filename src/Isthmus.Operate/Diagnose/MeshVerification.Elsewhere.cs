using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose;

/// <summary>Checks clusters whose control plane runs elsewhere.</summary>
public static partial class MeshVerification
{
    /// <summary>A cluster whose control plane runs in another cluster and serves no one else is a mesh of its own. No other
    /// cluster takes part in it.</summary>
    private static IEnumerable<List<ClusterFacts>> Meshes(List<ClusterFacts> members)
    {
        var alone = members.Where(cluster => HostOf(cluster, members).Plane is not null).ToList();
        return alone.Select(cluster => (List<ClusterFacts>)[cluster]).Prepend([.. members.Except(alone)]).Where(mesh => mesh.Count > 0);
    }

    /// <summary>Whether two clusters belong to one mesh.</summary>
    internal static bool AreOneMesh(ClusterFacts one, ClusterFacts other, List<ClusterFacts> members) =>
        Meshes(members).Any(mesh => mesh.Contains(one) && mesh.Contains(other));

    /// <summary>The cluster that runs the control plane of another one, which serves no one else; null where there is none.</summary>
    internal static (ClusterFacts Host, HostedControlPlane? Plane) HostOf(ClusterFacts cluster, List<ClusterFacts> members) =>
        cluster.ControlPlanes.Count > 0 || cluster.Name.Length == 0 ? default
            : members.Where(other => other != cluster).SelectMany(other => other.Hosted.Select(plane => (other, (HostedControlPlane?)plane)))
                .FirstOrDefault(found => found.Item2!.Cluster == cluster.Name);

    private static IEnumerable<Check> Hosted(ClusterFacts cluster, ClusterFacts host, HostedControlPlane plane)
    {
        var ready = plane.Pods.Count(pod => pod.Value);
        yield return new(cluster.Context, "control plane", $"in {host.Context}, {plane.Namespace}: {ready} of {plane.Pods.Count} ready", ready > 0 ? null
            : plane.ScaledToZero.Length > 0 ? ScaledToZero(cluster, host.Context, plane.Namespace, plane.ScaledToZero)
            : Wrong("ISM1003", cluster, "", $"its control plane in {host.Context} is not ready: {string.Join(", ", plane.Pods.Keys)}",
                $"inspect it with 'kubectl --context={host.Context} -n {plane.Namespace} describe deployment,pod -l app=istiod'"));
        foreach (var check in Way(cluster, [host])) yield return check;
        foreach (var problem in plane.Problems) yield return new(cluster.Context, Configuration, problem.Object, problem);
    }

    private static Problem ScaledToZero(ClusterFacts cluster, string context, string ns, string deployment) =>
        Wrong("ISM1003", cluster, $"Deployment {ns}/{deployment}",
        $"spec.replicas is 0, so no control plane runs{(context == cluster.Context ? "" : $" in {context}")}",
        $"kubectl --context={context} -n {ns} scale deployment {deployment} --replicas=1");

    /// <summary>Whether proxies of a cluster can find their control plane: a gateway must lead to it at the configured
    /// address.</summary>
    private static IEnumerable<Check> Way(ClusterFacts cluster, IReadOnlyList<ClusterFacts> primaries)
    {
        var by = string.Join(", ", primaries.Select(primary => primary.Context));
        if (cluster.ControlPlaneAt.IsEmpty)
        {
            yield return new(cluster.Context, "path to control plane", "none",
                Wrong("ISM1018", cluster, $"Service {cluster.SystemNamespace}/{WellKnown.Istiod}",
                    $"has no endpoints, so proxies do not find the control plane in {by}",
                    "reinstall with values.global.remotePilotAddress set to the address of the gateway in front of the control plane"));
            yield break;
        }
        foreach (var address in cluster.ControlPlaneAt)
        {
            var found = primaries.SelectMany(primary => primary.ControlPlaneEntries.Select(entry => (Primary: primary, Entry: entry)))
                .Where(candidate => candidate.Entry.Addresses.Contains(address)).ToList();
            // The gateway may be behind another load balancer, so an unknown address is not an error.
            if (found.Count == 0)
            {
                yield return new(cluster.Context, "path to control plane", address, null);
                continue;
            }
            var (at, gateway) = (found[0].Primary, found[0].Entry);
            yield return new(cluster.Context, "path to control plane", $"{address}, {gateway.Name} in {at.Context}",
                gateway.ReadyEndpoints == 0
                    ? Wrong("ISM1006", at, $"Service {gateway.Name}",
                        $"has no ready Pods, and proxies of {cluster.Context} reach their control plane through it",
                        $"kubectl --context={at.Context} -n {gateway.Name.Split('/')[0]} get deployments,pods")
                : gateway.Opens ? null
                : Wrong("ISM1019", at, $"Service {gateway.Name}",
                    $"no Gateway opens port {Ports.DiscoveryTls} there, so proxies of {cluster.Context} do not reach their control plane",
                    $"kubectl --context={at.Context} apply {Exposure(at, cluster)}; with the Gateway API, TLSRoutes for the port "
                        + "(docs/guides/gateway-api-primary-remote.md)"));
        }
    }

    /// <summary>What lets proxies of another cluster reach their control plane: one that serves it alone, or that of the cluster itself.</summary>
    private static string Exposure(ClusterFacts at, ClusterFacts cluster) => at.Hosted.FirstOrDefault(plane => plane.Cluster == cluster.Name) is { } hosted
        ? $"-n {hosted.Namespace} -f samples/multicluster/expose-external-istiod.yaml"
        : $"-n {at.SystemNamespace} -f samples/multicluster/expose-istiod.yaml";
}
