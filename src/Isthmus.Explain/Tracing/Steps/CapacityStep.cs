using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Isthmus.Mesh.Resolve;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Names the workloads that the caller does not use although they belong to the service: while others answer, calls get
/// through, and nobody notices.</summary>
internal sealed class CapacityStep(TraceFacts facts, TraceRecord record, TraceCauses causes)
{
    /// <summary>The name of its hops.</summary>
    public const string Hop = "capacity";

    /// <param name="host">The host that the proxy's cluster represents.</param>
    /// <param name="subset">Empty without a subset.</param>
    public void Walk(MeshHost? host, int port, string subset, ClusterView cluster, IReadOnlyList<EndpointCandidate> candidates)
    {
        if (host is not { Services.Count: > 0, Entries.Count: 0 }) return;
        causes.Needs.NeedPods(host.Namespace);
        var wanted = WantedBy(host, subset);
        foreach (var service in Parts(host))
        {
            if (service.Port(port) is null)
            {
                if (service.Pods.Count > 0) Report(OtherPort(service, port));
                continue;
            }
            var own = wanted(service);
            foreach (var problem in LostParts.In(service, own, causes.Needs)) Report(problem);
            if (cluster.IsEds && Unused(host, service, port, subset, own, candidates) is { } unused) Report(unused);
        }
        foreach (var other in facts.Clusters.Where(other => other != facts.Home && host.In(other) is null))
            if (IsShared(host, other) && LostParts.WithoutService(other, host.Services) is { } orphans) Report(orphans);
    }

    /// <summary>How many Pods of the service are not ready, beside the endpoints that the proxy has.</summary>
    public int NotReady(MeshHost? host, string subset, IReadOnlyList<EndpointCandidate> candidates)
    {
        if (host is not { Services.Count: > 0, Entries.Count: 0 }) return 0;
        var wanted = WantedBy(host, subset);
        return Parts(host).Where(service => !service.Service.Spec.PublishNotReadyAddresses)
            .Sum(service => service.Pods.Where(wanted(service)).Count(pod => pod is { Status: { IsReady: false, Phase: not ("Succeeded" or "Failed") },
                Metadata.DeletionTimestamp: null }
                && candidates.All(candidate => candidate.Pod?.Pod != pod)));
    }

    /// <summary>The Service in the clusters whose Pods the caller may use.</summary>
    private List<ServiceInCluster> Parts(MeshHost host) =>
        [.. host.Services.Where(service => service.Cluster == facts.Home || IsShared(host, service.Cluster))];

    /// <summary>For a caller without a proxy: only its own cluster's Service counts.</summary>
    public void WalkPlain(ServiceInCluster service)
    {
        foreach (var problem in LostParts.In(service, static _ => true, causes.Needs)) Report(problem);
    }

    private void Report(Problem problem) => record.Warn(Hop, "a part of the service gets no calls", problem);

    private static Problem OtherPort(ServiceInCluster service, int port)
    {
        var lacking = ServicePods.WithoutPort(service, port, "give the Service the same ports in all clusters");
        return lacking with { Message = $"{lacking.Message}, and its Pods get none of these calls" };
    }

    /// <summary>Why the ready Pods of a cluster are not among the endpoints; null when they are.</summary>
    private Problem? Unused(MeshHost host, ServiceInCluster service, int port, string subset, Func<Pod, bool> wanted,
        IReadOnlyList<EndpointCandidate> candidates)
    {
        var ready = ServicePods.Ready(service, port).Where(wanted).ToList();
        if (ready.Count == 0) return null;
        var network = service.Cluster.NetworkOf(ready[0]);
        var here = facts.Home.NetworkOf(facts.ClientPod);
        // Endpoints that nobody can place may be these.
        if (candidates.Any(candidate => candidate.Service is not null || (candidate.Pod is null && candidate.Gateway?.Service is null))) return null;
        if (network != here && here.Length > 0 && ready.FirstOrDefault(pod => ClusterObjects.Sidecar(pod) is null) is { } bare
            && candidates.Any(candidate => candidate.Gateway is not null || candidate.Pod is not null))
            return LostParts.NoSidecar(service, bare, ready.Count(pod => ClusterObjects.Sidecar(pod) is null), network);
        if (candidates.Any(candidate => candidate.Pod?.Cluster == service.Cluster || candidate.Gateway?.Network == network)) return null;
        return OutOfView(service, network) ?? causes.Availability.Unwatched([service]) ?? causes.Visibility.LeftOut(service)
            ?? causes.Networks.Unreachable(service, port) ?? causes.Networks.PlainAcrossNetworks(host, service, port, subset)
            ?? Faults.Of("ISM2083", service.Name, "",
                $"has {ready.Count} ready Pod(s), of which the caller's proxy has no endpoint; why is not visible in the objects",
                $"isthmus remote-clusters --context={facts.Home.Context}; isthmus proxy-status --context={facts.Home.Context}");
    }

    /// <summary>A gateway that is told to see one network alone, as those between networks are; null for others.</summary>
    private Problem? OutOfView(ServiceInCluster service, string network)
    {
        var view = ClusterObjects.Sidecar(facts.ClientPod)?.Env.FirstOrDefault(env => env.Name == NetworkGatewayReader.NetworkView)?.Value ?? "";
        return view.Length == 0 || view.Split(',', StringSplitOptions.TrimEntries).Contains(network) ? null
            : Faults.Of("ISM2083", facts.Client.ToString(), $"spec.containers[*].env[{NetworkGatewayReader.NetworkView}]",
                $"is {view}, so the gateway passes calls on to Pods of that network only, and not to those of {service.Name}, in {network}",
                "let calls from outside enter at a gateway that is not one between networks");
    }

    /// <summary>Whether callers of other clusters use a cluster's part of a service.</summary>
    private bool IsShared(MeshHost host, ClusterObjects cluster)
    {
        if (facts.Home.IsJoinedByNames || cluster.Error.Length > 0) return false;
        if (facts.ControlPlanesOf(facts.Home) is not [var plane, ..]) return false;
        // Serves one cluster alone: the other is another mesh.
        if (plane.At != plane.Config && cluster != plane.Config) return false;
        if (ControlPlaneDeployment.MultiCluster(plane.Deployments) is { Discovery: true } or { ClusterLocal: true }) return false;
        return !ServiceAgreement.IsClusterLocal(host.Fqdn, facts.Settings.Mesh);
    }

    private Func<ServiceInCluster, Func<Pod, bool>> WantedBy(MeshHost host, string subset)
    {
        var wanted = subset.Length == 0 ? null : causes.Config.RulesFor(host).SelectMany(rule => rule.Subsets).FirstOrDefault(one => one.Name == subset);
        return service => pod => wanted is null || SubsetCauses.Selects(wanted, service.Cluster, pod);
    }
}
