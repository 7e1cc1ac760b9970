using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Overflows;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>
/// <c>isthmus analyze</c> and <c>isthmus verify</c> look at a mesh with all the faults of faults.yaml and operator-faults.yaml at once: each names
/// every fault that objects show, with its object, and nothing else. What only a call can show is left to <c>trace</c>.
/// </summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed partial class ReportTests(LoopbackMeshRig mesh, FaultyServices services)
{
    /// <summary>CLUSTER CODE OBJECT: FIELD. Pods are named by their Deployment.</summary>
    internal static readonly string[] Analyzed =
    [
        "cluster1 ISM1410 DestinationRule $ns/$stiffly-b: spec.trafficPolicy", // the older rule has its own
        "cluster1 ISM1415 AuthorizationPolicy $ns/$domain: spec.rules[0].from[0].source.principals", // another trust domain
        "cluster1 ISM1417 Service $ns/$adrift: spec.selector", // a typo
        "cluster1 ISM1419 ServiceEntry $ns/$shadow: spec.hosts[0]", // the host of a Service
        "cluster1 ISM1420 Service $ns/$misnamed: spec.ports[0].targetPort", // no container has that port
        "cluster1 ISM1427 VirtualService $ns/$late: spec.http[0].fault", // a delay
        "cluster1 ISM1427 VirtualService $ns/$late: spec.http[1].fault",
        "cluster1 ISM1427 VirtualService $ns/$split: spec.http[4].fault", // an abort
        "cluster1 ISM1427 VirtualService $ns/$split: spec.http[5].fault",
        "cluster1 IST0174 DestinationRule $ns/$hostless: spec.host", // no such host
        "cluster1 ISM1429 AuthorizationPolicy $ns/$banned: spec.rules[0].to[0].operation.paths", // another spelling passes
        "cluster1 ISM1429 AuthorizationPolicy istio-system/$rooted: spec.rules[0].to[0].operation.paths",
        "cluster1 ISM1415 AuthorizationPolicy $ns/$prefixed: spec.rules[0].from[0].source.principals", // as it is in certificates
        "cluster1 ISM1431 VirtualService $ns/$parent: spec.http[0].delegate", // no such VirtualService
        "cluster1 ISM1432 Namespace $revised: metadata.labels[istio.io/rev]", // no control plane has the revision
        "cluster1 ISM1434 Pod $other/$probed: spec.containers[0].readinessProbe.httpGet", // the proxy refuses the kubelet
        "cluster1 ISM1435 PeerAuthentication $ns/$levelled: spec.portLevelMtls[80]", // a port of the Service
        "cluster1 ISM1436 VirtualService $ns/$bytes: spec.http", // a port of TCP
        "cluster1 ISM1437 DestinationRule $ns/$frail: spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].from", // the Node is in no region
        "cluster1 ISM1437 DestinationRule $ns/$frail: spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to[west/*]",
        "cluster1 ISM1438 EnvoyFilter $ns/$idle: spec.configPatches[0].match.listener.filterChain.filter.subFilter.name", // an old name
        "cluster1 ISM1466 RequestAuthentication $ns/$keyless: spec.jwtRules[0].jwksUri", // the keys cannot be fetched
        "cluster1 ISM1485 Sidecar $ns/$slit: spec.egress[0].hosts[0]", // it has no port 18080
        "cluster1 ISM1486 AuthorizationPolicy $ns/$piped: spec.rules[0].to[0].operation.paths", // a port of TCP
        "cluster1 ISM1487 AuthorizationPolicy istio-system/$rooted: metadata.namespace", // it applies to the whole mesh
        "cluster1 ISM1489 VirtualService $ns/$circle: spec.http[0].redirect", // back to the route
        "cluster1 ISM1491 DestinationRule $ns/$narrowed: spec.trafficPolicy.connectionPool", // one connection at a time
        "cluster1 ISM1492 DestinationRule $ns/$frail: spec.trafficPolicy.outlierDetection.maxEjectionPercent", // the only endpoint
        "cluster1 ISM1496 PeerAuthentication $ns/$opened: spec.mtls.mode", // callers behind the gateway bring mutual TLS
        "cluster1 ISM1503 VirtualService $ns/$elseport: spec.http[0].match[0].port", // no port of the Service
        "cluster1 ISM1513 DestinationRule $ns/$mistakenfar: spec.trafficPolicy.tls.mode", // the gateway passes mutual TLS of the mesh only
        "cluster1 ISM1515 VirtualService $other/$unshared: spec.http[0].route[0].destination.subset", // nobody but its owner sees the DestinationRule
        "cluster1 IST0101 AuthorizationPolicy $ns/$asked: spec.provider.name",
        "cluster1 IST0101 Gateway $ns/$nobody: spec.selector", // no gateway has these labels
        "cluster1 IST0101 Gateway istio-system/$uncertain: spec.servers[0].tls.credentialName", // no such Secret
        "cluster1 IST0101 VirtualService $ns/$copied: spec.http[0].mirror.host", // copies that nobody gets
        "cluster1 IST0101 VirtualService $ns/$split: spec.http[2].route[0].destination.subset", // no such subset
        "cluster1 IST0101 VirtualService $ns/$split: spec.http[3].route[0].destination.host", // no such host
        "cluster1 IST0101 VirtualService $other/$short: spec.http[0].route[0].destination.host", // a short name means the own namespace
        "cluster1 IST0109 VirtualService $ns/$twice-b: spec.hosts", // two for one host
        "cluster1 IST0109 VirtualService $ns/$twice: spec.hosts",
        "cluster1 IST0113 DestinationRule $ns/$loudly: spec.trafficPolicy.tls.mode", // plain text to STRICT
        "cluster1 IST0113 DestinationRule $ns/$mistaken: spec.trafficPolicy.tls.mode", // TLS that the sidecar does not end
        "cluster1 IST0113 DestinationRule $ns/$stiffly: spec.trafficPolicy.tls.mode", // mutual TLS to a Pod without sidecar
        "cluster1 IST0113 DestinationRule $ns/$opened: spec.trafficPolicy.tls.mode", // mutual TLS where it is off
        "cluster1 IST0118 Service $ns/$guessed: spec.ports[0].name", // no name declares a protocol
        "cluster1 IST0118 Service $ns/$guessed: spec.ports[1].name",
        "cluster1 IST0118 Service $ns/$guessed: spec.ports[2].name",
        "cluster1 IST0118 Service $ns/$guessed: spec.ports[3].name",
        "cluster1 IST0118 Service $ns/$guessed: spec.ports[4].name",
        "cluster1 IST0123 Namespace $twofold: metadata.labels", // two labels that decide about injection
        "cluster1 IST0127 AuthorizationPolicy $ns/$aimless: spec.selector", // selects nothing
        "cluster1 IST0127 ServiceEntry $ns/$vacant: spec.workloadSelector",
        "cluster1 IST0128 DestinationRule $ns/$mistaken: spec.trafficPolicy.tls", // the roots of the system verify the server
        "cluster1 IST0128 DestinationRule $ns/$mistakenfar: spec.trafficPolicy.tls",
        "cluster1 IST0132 VirtualService $ns/$unlisted: spec.gateways[0]", // the Gateway does not have the host
        "cluster1 IST0116 Deployment $ns/$speaker: spec.template", // two protocols for one port
        "cluster1 IST0162 Gateway istio-system/$uncertain: spec.servers[0].port.number", // the Service does not have the port
        "cluster1 IST0173 DestinationRule $ns/$split: spec.subsets[2].labels", // no Pod has the labels
        "cluster1 IST0175 Deployment istio-system/istiod: spec.template.spec.containers[0].env", // keys are fetched from anywhere
        "cluster2 ISM1414 Deployment $ns/$astray: metadata.labels[topology.istio.io/network]", // a network that does not exist
        "cluster2 ISM1414 Pod $ns/$astray: metadata.labels[topology.istio.io/network]",
        "cluster2 ISM1416 Namespace $half: metadata.labels", // injection in cluster1 only
        "cluster2 ISM1418 Pod $ns/$crashing: status.containerStatuses", // a crash loop while cluster1 answers
        "cluster2 ISM1421 DestinationRule $ns/$split: spec.subsets", // the gateway of cluster2 does not know the subset
        "cluster2 ISM1432 Namespace $revised: metadata.labels[istio.io/rev]",
        "cluster2 ISM1503 VirtualService $ns/$elseport: spec.http[0].match[0].port",
        "cluster2 ISM1543 Service $ns/$crashing: spec.selector", // another application, as the next
        "cluster2 ISM1543 Service $ns/$torn: spec.selector",
        "cluster2 ISM1547 Service $other/$secret: spec.selector",
        "cluster2 IST0123 Namespace $twofold: metadata.labels",
        "cluster2 IST0170 Service $ns/$beheaded: spec.clusterIP", // headless in one cluster
        "cluster2 IST0170 Service $ns/$bilingual: spec.ports", // another protocol
        "cluster2 IST0170 Service $ns/$ported: spec.ports", // other ports in each cluster
        "cluster2 IST0170 Service $ns/$ported: spec.ports",
    ];

    internal static readonly string[] Verified =
    [
        "ISM1466 RequestAuthentication $ns/$keyless: spec.jwtRules[0].jwksUri",
        "ISM2047 Pod $ns/$crashing in cluster2: status",
        "ISM2047 Pod $ns/$gated in cluster1: status", // a readiness gate
        "ISM2047 Pod $ns/$sick in cluster1: status", // its readiness probe fails
        "ISM2047 Pod $other/$probed in cluster1: status",
        "ISM2051 Pod $half/$halved in cluster2: ", // no sidecar, behind a gateway
        "ISM2051 Pod $ns/$faraway in cluster2: metadata.labels[sidecar.istio.io/inject]",
        "IST0101 Gateway istio-system/$uncertain: spec.servers[0].tls.credentialName",
        "IST0170 Service $ns/$beheaded: spec.clusterIP",
        "IST0170 Service $ns/$bilingual: spec.ports",
        "IST0170 Service $ns/$bilingual: spec.ports",
        "IST0170 Service $ns/$ported: spec.ports",
        "IST0170 Service $ns/$ported: spec.ports",
    ];

    [Fact]
    public async Task Analyze_names_each_fault_that_objects_show_and_nothing_else()
    {
        await services.ReadyAsync(mesh);
        // Most faults are made in one of the two clusters, which is told of each, and is none of them.
        await SameAsync(Analyzed, async () => (await mesh.AnalyzeAsync()).Where(finding => finding.Problem.Code is not ("ISM1525" or RefusedProblems.Code))
            .Select(finding => $"{finding.Cluster} {Short(finding.Problem)}"));
    }

    [Fact]
    public async Task Verify_names_each_part_that_gets_no_calls_and_nothing_else()
    {
        await services.ReadyAsync(mesh);
        // What limits refused is of calls of other tests, of the last ten minutes.
        await SameAsync(Verified, async () => (await mesh.VerifyAsync()).Where(problem => problem.Code != RefusedProblems.Code).Select(Short));
    }

    /// <summary>Both lists above are complete, so a fault without a line there is one that the command is silent about.</summary>
    [Fact]
    public void Each_command_names_each_fault_or_cannot_know_it()
    {
        Assert.True(InjectedFault.All.Count >= 40);
        Assert.Distinct(InjectedFault.All.Select(fault => (fault.Caller, fault.Target, fault.Trace)));
        Assert.All(InjectedFault.All,
            fault => Assert.True(InjectedFault.IsReason(fault.Verify) || Verified.Contains(fault.Verify), $"{fault.Target}: {fault.Verify}"));
        Assert.All(InjectedFault.All,
            fault => Assert.True(InjectedFault.IsReason(fault.Analyze) || Analyzed.Contains(fault.Analyze), $"{fault.Target}: {fault.Analyze}"));
    }

    private Task SameAsync(IEnumerable<string> expected, Func<Task<IEnumerable<string>>> ask)
    {
        var wanted = Sorted(expected);
        return mesh.UntilAsync(async () => Sorted((await ask()).Select(services.Unfill).Where(IsOurs)), found => found == wanted, $"exactly\n{wanted}");
    }

    /// <summary>Other tests of the mesh have namespaces of their own.</summary>
    private static bool IsOurs(string line) =>
        Namespace().Match(line) is not { Success: true } found || found.Value.StartsWith('$') || found.Value == "istio-system";

    private static string Sorted(IEnumerable<string> lines) => string.Join('\n', lines.Order(StringComparer.Ordinal));

    private static string Short(Problem problem) => $"{problem.Code} {PodSuffix().Replace(problem.Object, "")}: {problem.Path}";

    [GeneratedRegex("(?<= )[^ /[]+(?=/)")]
    private static partial Regex Namespace();

    [GeneratedRegex("(?<=^Pod [^ ]+)-[0-9a-z]+-[0-9a-z]{5}(?= |$)")]
    private static partial Regex PodSuffix();
}
