using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>Why the two ends do not agree on TLS.</summary>
internal sealed partial class Causes
{
    public Problem PlainToGateway(string rule, GatewayPlace place) => rule.Length > 0
        ? Faults.Of("ISM2056", $"DestinationRule {rule} in {Config.Context}", "spec.trafficPolicy.tls.mode", $"turns mesh TLS off, and the gateway of {place.Network} finds its way by the server name of mesh TLS only", "take trafficPolicy.tls out, or set ISTIO_MUTUAL")
        : Faults.Of("ISM2056", facts.Client.ToString(), "", $"its proxy speaks plain text to the gateway of {place.Network}, which finds its way by the server name of mesh TLS only", "see whether meshConfig.enableAutoMtls is off");

    /// <summary>Why ready Pods of another network are no endpoints: only mesh TLS passes a gateway, and somebody turned it off.</summary>
    private Problem? PlainAcrossNetworks(MeshHost host, ClusterService service, int port, string subset)
    {
        var pod = Ready(service, port).First();
        var (own, their) = (facts.Home.NetworkOf(facts.ClientPod), service.Cluster.NetworkOf(pod));
        if (own == their || own.Length == 0) return null;
        if (RulesFor(host).FirstOrDefault(rule => TrafficPolicy.Effective(rule, rule.Subsets.FirstOrDefault(candidate => candidate.Name == subset), port).Tls is { Mode: not ClientTlsMode.IstioMutual }) is { } plain)
        {
            return Faults.Of("ISM2056", $"DestinationRule {plain.Namespace}/{plain.Name} in {Config.Context}", "spec.trafficPolicy.tls.mode", $"turns mesh TLS off, and through the gateway of {their} only mesh TLS can pass", "take trafficPolicy.tls out, or set ISTIO_MUTUAL");
        }
        var target = service.Port(port)?.TargetPort?.ToString() ?? $"{port}";
        return PolicyOf(service.Cluster, pod, port) is { } policy && policy.Ports.GetValueOrDefault(target, policy.Mode) == MtlsMode.Disable
            ? Faults.Of("ISM2066", $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster}", "spec.mtls.mode", $"turns mesh TLS off, and through the gateway of {their} only mesh TLS can pass", "make it PERMISSIVE or STRICT")
            : null;
    }

    /// <param name="plainByProxy">The caller's proxy lets the call through as it is, since it knows no service there.</param>
    public Problem PlainToStrict(PodRef callee, ClusterObjects cluster, Pod pod, int port, string rule, bool plainByProxy)
    {
        var strict = PolicyOf(cluster, pod, port) is { } policy ? $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster} is STRICT" : $"{callee} takes mesh TLS only";
        if (rule.Length > 0)
            return Faults.Of("ISM2057", $"DestinationRule {rule} in {Config.Context}", "spec.trafficPolicy.tls.mode", $"makes the caller speak plain text, and {strict}", "take trafficPolicy.tls out, or set ISTIO_MUTUAL");
        if (ClusterObjects.Sidecar(facts.ClientPod) is null)
        {
            return Faults.Of("ISM2058", facts.Client.ToString(), $"metadata.labels[{Labels.Inject}]", $"has no sidecar, so it speaks plain text, and {strict}",
                $"label namespace {facts.Client.Namespace} {Labels.Injection}=enabled and start the Pod anew, or make the PeerAuthentication PERMISSIVE");
        }
        return Faults.Of("ISM2059", facts.Client.ToString(), "", plainByProxy ? $"its proxy knows no service there and passes plain text on, and {strict}" : $"its proxy speaks plain text, and {strict}",
            "call the service by its name and port, not the Pod");
    }

    /// <summary>The callee does not end mesh TLS on a port.</summary>
    public Problem NoMeshTlsAt(PodRef callee, ClusterObjects cluster, Pod pod, int port, string rule)
    {
        var policy = PolicyOf(cluster, pod, port);
        var why = policy is null ? $"{callee} does not take it on port {port}" : $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster} turns it off at port {port} of {callee}";
        return rule.Length > 0
            ? Faults.Of("ISM2066", $"DestinationRule {rule} in {Config.Context}", "spec.trafficPolicy.tls.mode", $"asks for mesh TLS, and {why}", "set trafficPolicy.tls.mode DISABLE, or let the callee take mesh TLS")
            : Faults.Of("ISM2066", policy is null ? callee.ToString() : $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster}", policy is null ? "" : "spec.mtls.mode", $"the caller speaks mesh TLS, and {why}", "make it PERMISSIVE or STRICT");
    }

    public Problem MeshTlsToPlain(string rule, PodRef callee) => rule.Length > 0
        ? Faults.Of("ISM2067", $"DestinationRule {rule} in {Config.Context}", "spec.trafficPolicy.tls.mode", $"asks for mesh TLS, and {callee} has no sidecar that could end it", "set trafficPolicy.tls.mode DISABLE, or give the callee a sidecar")
        : Faults.Of("ISM2067", callee.ToString(), "", "is said to take mesh TLS, and has no sidecar that could end it", $"see its label {Labels.TlsMode}, and whether its namespace is injected");

    /// <summary>One end belongs to a trust domain that the other does not know.</summary>
    public Problem OtherTrustDomain(PodRef shown, ClusterObjects cluster, string identity, PodRef checking, string own) =>
        Faults.Of("ISM2063", facts.ControlPlanesOf(cluster) is [var plane, ..] ? $"ConfigMap {plane.Namespace}/istio in {plane.At.Context}" : $"cluster {cluster.Context}", "mesh.trustDomain",
            $"{shown} is {identity}, and {checking} is {own} and accepts its own trust domain only", "set meshConfig.trustDomain alike, or name the other in trustDomainAliases, then restart the workloads");

    /// <summary>One end's certificate leads to no root of the other.</summary>
    /// <param name="shown">Whose certificate it is.</param>
    /// <param name="checking">Who does not trust it.</param>
    public Problem Untrusted(PodRef shown, PodRef checking, ShownCertificate certificate, TrustBundle roots, string why)
    {
        var own = facts.Proxies.GetValueOrDefault(shown)?.Roots("ROOTCA");
        var differ = own is not null && !own.Roots.Select(root => root.Thumbprint).Intersect(roots.Roots.Select(root => root.Thumbprint)).Any();
        if (!differ) return Faults.Of("ISM2068", shown.ToString(), "", $"{checking} does not trust its certificate: {why}", "restart the Pod, so that it gets a certificate of the present CA");
        var at = shown.Context != checking.Context ? $"CA of {shown.Context}" : shown.ToString();
        return Faults.Of("ISM1010", at, $"Secret {WellKnown.SystemNamespace}/{WellKnown.CaCerts}", $"the certificate of {shown} was issued by '{certificate.Leaf.Issuer}' under the root '{own!.Roots[0].Subject}', while {checking} trusts '{roots.Roots[0].Subject}' only",
            "give all clusters a 'cacerts' Secret of one root, then restart control planes and workloads");
    }

    /// <summary>The PeerAuthentication that decides about a port of a Pod: the workload's, the namespace's, the mesh's.</summary>
    private PeerAuthentication? PolicyOf(ClusterObjects cluster, Pod pod, int port)
    {
        var at = facts.ConfigOf(cluster);
        var labels = pod.Metadata.Labels.ToValueMap();
        var all = at.Istio<PeerAuthentication>().OrderBy(policy => policy.CreatedAt).ThenBy(policy => policy.Source).ToList();
        var key = port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var local = all.Where(policy => policy.Namespace == pod.Metadata.Namespace).ToList();
        return local.FirstOrDefault(policy => policy.Selector.Count > 0 && Selectors.Matches(policy.Selector, labels) && (policy.Mode != MtlsMode.Unset || policy.Ports.ContainsKey(key)))
            ?? local.FirstOrDefault(policy => policy.Selector.Count == 0 && policy.Mode != MtlsMode.Unset)
            ?? all.FirstOrDefault(policy => policy.Namespace == facts.RootNamespace && policy.Selector.Count == 0 && policy.Mode != MtlsMode.Unset);
    }
}
