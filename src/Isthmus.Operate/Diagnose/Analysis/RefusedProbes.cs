using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using MtlsMode = Isthmus.Mesh.Model.MtlsMode;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Health checks of the kubelet that the proxy refuses, because they come without mutual TLS. Pure.</summary>
public static class RefusedProbes
{
    private const string Rewritten = "/app-health/";

    public static Analyzer Analyzer
    {
        get;
    } = new("authn.ProbeAnalyzer", "Checks that proxies let the health checks of kubelets through", [OwnCodes.ProbeRefused], ["Pod", "PeerAuthentication"],
        mesh =>
        from area in mesh.Workloads
        let owner = AcceptedTls.Owner(mesh, area)
        from workload in area.All
        where workload is { Pod.Spec.HostNetwork: false, HasProxy: true }
        let policy = AcceptedTls.Of(owner, workload)
        from probe in Of(workload.Pod!, port => policy.ForPort(port))
        select OwnCodes.ProbeRefused.At(area.Cluster, workload.Name, probe.Path,
            $"checks port {probe.Port} without mutual TLS, which the proxy demands there (STRICT), so that the check always fails"));

    /// <summary>The checks of a Pod that its proxy refuses, with the paths of their fields.</summary>
    /// <param name="mode">The mode of mutual TLS at a port of the Pod.</param>
    public static IEnumerable<(string Path, int Port)> Of(Pod pod, Func<int, MtlsMode> mode) =>
        Probes(pod).Where(probe => mode(probe.Port) == MtlsMode.Strict && !ExcludedPorts.Bypasses(pod, probe.Port));

    /// <summary>Those that send requests. A connection alone (tcpSocket) is accepted, whatever follows.</summary>
    private static IEnumerable<(string Path, int Port)> Probes(Pod pod)
    {
        // Injection leads the others to the agent.
        foreach (var (i, container) in pod.Spec.Containers.Index().Where(item => item.Item != Workload.ProxyOf(pod.Spec)))
        {
            foreach (var (name, probe) in ((string, Probe?)[])[("livenessProbe", container.LivenessProbe), ("readinessProbe", container.ReadinessProbe),
                ("startupProbe", container.StartupProbe)])
            {
                if (probe?.HttpGet is { } http && !http.Path.StartsWith(Rewritten, StringComparison.Ordinal)
                    && AcceptedTls.NumberOf(http.Port?.ToString() ?? "", [container]) is { } port)
                    yield return ($"spec.containers[{i}].{name}.httpGet", port);
                if (probe?.Grpc is { } grpc) yield return ($"spec.containers[{i}].{name}.grpc", grpc.Port);
            }
        }
    }
}
