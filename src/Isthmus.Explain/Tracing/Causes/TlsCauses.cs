using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Wire.Tls;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why the two ends do not agree on TLS.</summary>
internal sealed class TlsCauses(TraceFacts facts, TraceNeeds needs, CallerConfig config)
{
    /// <summary>What brings mesh TLS back where a DestinationRule ends it: one that says nothing means plain text unless mutual TLS is automatic.</summary>
    public static string AgainBy(TraceFacts facts) => facts.Settings.Mesh.EnableAutoMtls
        ? "remove trafficPolicy.tls, or set ISTIO_MUTUAL"
        : "set ISTIO_MUTUAL (without trafficPolicy.tls, calls stay plain text, because meshConfig.enableAutoMtls is false)";

    public string MeshTlsAgain => AgainBy(facts);

    private bool IsAutomatic => facts.Settings.Mesh.EnableAutoMtls;

    private string MeshTlsByRule => $"trafficPolicy.tls.mode ISTIO_MUTUAL in a DestinationRule for {facts.Target.Host}";

    public Problem PlainToGateway(string rule, GatewayPlace place) => rule.Length > 0
        ? Faults.Of("ISM2056", $"DestinationRule {rule} in {config.At.Context}", "spec.trafficPolicy.tls.mode",
            $"disables mesh TLS, but the gateway of {place.Network} routes only by the server name of mesh TLS", MeshTlsAgain)
        : !IsAutomatic ? Faults.Of("ISM2056", facts.MeshConfigOf(facts.Home), TraceFacts.MeshField("enableAutoMtls"),
            $"is false, so that the proxy of {facts.Client} sends plain text to the gateway of {place.Network}, which routes only by the server name of mesh "
                + "TLS",
            $"set it to true, or set {MeshTlsByRule}")
        : Faults.Of("ISM2056", facts.Client.ToString(), "",
            $"its proxy sends plain text to the gateway of {place.Network}, which routes only by the server name of mesh TLS",
            $"set {MeshTlsByRule}");

    /// <summary>Calls from outside come to the Pods of a Service without mutual TLS of the mesh, and those take nothing else; null where one takes more, or
    /// nobody knows.</summary>
    /// <param name="address">That of the Service's load balancer, or of a Node.</param>
    public Problem? PlainToEntrance(ServiceInCluster service, System.Net.IPEndPoint address)
    {
        if (service.Service.Spec.ClusterIP == address.Address.ToString() || service.PortAt(address) is not { } open) return null;
        needs.NeedPods(service.Service.Metadata.Namespace);
        var pods = ServicePods.Ready(service, open.Port).ToList();
        if (pods.Count == 0 || pods.Exists(pod => ClusterObjects.Sidecar(pod) is null || ClusterObjects.IsGateway(pod))) return null;
        var policies = pods.Select(pod => (Pod: pod, Port: ServiceInCluster.TargetOf(open, pod))).Select(one =>
            PeerPolicies.ModeOf(facts, service.Cluster, one.Pod, one.Port) == MtlsMode.Strict
                ? PeerPolicies.PolicyOf(facts, service.Cluster, one.Pod, one.Port) : null).ToList();
        return policies.Contains(null) ? null : Faults.Of("ISM2059",
            $"PeerAuthentication {policies[0]!.Namespace}/{policies[0]!.Name} in {facts.ConfigOf(service.Cluster).Context}", "spec.mtls.mode",
            $"is STRICT for the Pods of {service.Name}, to which calls of {address} come without mutual TLS of the mesh, whoever makes them: that is the "
                + $"address of {service.By(address)}, behind which nothing begins it",
            $"call it by its name, {service.Service.Metadata.Name}.{service.Service.Metadata.Namespace}:{open.Port}; for clients outside of the mesh, expose "
                + "it by a gateway, or set the mode of its port to PERMISSIVE");
    }

    /// <param name="plainByProxy">The caller's proxy passes the call through unchanged, since it knows no service
    /// there.</param>
    public Problem PlainToStrict(PodRef callee, ClusterObjects cluster, Pod pod, int port, string rule, bool plainByProxy)
    {
        var policy = PeerPolicies.PolicyOf(facts, cluster, pod, port);
        var strict = policy is null
            ? $"{callee} accepts only mesh TLS"
            : $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster} is STRICT";
        if (policy is not null && Misnumbered(policy, cluster, pod, port) is { } level)
        {
            return Faults.Of(rule.Length > 0 ? "ISM2057" : ClusterObjects.Sidecar(facts.ClientPod) is null ? "ISM2058" : "ISM2059",
                $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster}", $"spec.portLevelMtls[{level.Number}]",
                $"has {level.Number}, which is a port of {level.Service}: that leads to port {port} of the workload, where it has no effect, so the mode there "
                    + $"is STRICT, and the caller sends plain text",
                $"write {port} instead of {level.Number}");
        }
        if (rule.Length > 0)
            return Faults.Of("ISM2057", $"DestinationRule {rule} in {config.At.Context}", "spec.trafficPolicy.tls.mode",
                $"disables TLS for the caller, but {strict}", MeshTlsAgain);
        if (ClusterObjects.Sidecar(facts.ClientPod) is null)
        {
            var without = Sidecarless.Of(facts.Home, facts.ClientPod);
            return Faults.Of("ISM2058", without.Object, without.Field, $"{without.Because}has no sidecar, so it sends plain text, but {strict}",
                without.Remedy + (policy is null ? ""
                    : $"; or set {(policy.Ports.ContainsKey($"{port}") ? $"portLevelMtls[{port}] of " : "")}the PeerAuthentication to PERMISSIVE"));
        }
        if (facts.Host(facts.Target.Host, facts.Client.Namespace) is { Services: [], Entries: [{ External: true } entry, ..] })
        {
            return Faults.Of("ISM2059", $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}", "spec.location",
                $"is MESH_EXTERNAL, so callers begin no mutual TLS, and it leads to {callee}, but {strict}",
                $"call the Service of {callee.Namespace} in the mesh by its own name, or set trafficPolicy.tls.mode ISTIO_MUTUAL in a DestinationRule for "
                    + facts.Target.Host);
        }
        if (plainByProxy && facts.Sent.Headers.LastOrDefault(header => header.Name == "host")?.Value is { Length: > 0 } named && named != facts.Target.Host
            && facts.Host(named.Split(':')[0], facts.Client.Namespace) is null)
        {
            return Faults.Of("ISM2059", $"host {named}", "",
                $"is what the request names in its header Host, and no route of the caller's proxy has it, so the call is passed through in plain text, but "
                    + strict,
                $"send the host that is called, {facts.Target.Host}; or add {named} to the hosts of a VirtualService, or of a ServiceEntry");
        }
        return Faults.Of("ISM2059", facts.Client.ToString(), "",
            plainByProxy ? $"its proxy knows no service there and passes plain text through, but {strict}" : $"its proxy sends plain text, but {strict}",
            plainByProxy ? "call the service by its name and port, not the Pod"
                : !IsAutomatic ? $"set meshConfig.enableAutoMtls to true, or {MeshTlsByRule}"
                : $"set {MeshTlsByRule}, or the label {Labels.TlsMode}: istio at its endpoint, by which callers know that a proxy is there");
    }

    /// <summary>The caller's proxy begins TLS around the TLS of the application.</summary>
    /// <param name="by">The kind and name of the object that asks for it; empty when nobody knows.</param>
    public Problem Twice(string by)
    {
        const string why = "makes the caller's proxy begin TLS, and the application begins TLS itself: the server finds TLS within TLS";
        if (by.Length == 0) return Faults.Of("ISM2089", facts.Client.ToString(), "", why, $"call http://{facts.Target.Host}");
        return by.StartsWith("DestinationRule ", StringComparison.Ordinal)
            ? Faults.Of("ISM2089", $"{by} in {config.At.Context}", "spec.trafficPolicy.tls.mode", why,
                "remove trafficPolicy.tls; or, if the proxy should begin TLS, call with http:// a port with protocol HTTP whose targetPort is the server's")
            : Faults.Of("ISM2089", $"{by} in {config.At.Context}", "spec.targetRefs", why, Without(config.At, by));
    }

    /// <summary>The caller's proxy begins TLS of its own at a sidecar that accepts no TLS but the mesh's.</summary>
    /// <param name="by">The kind and name of the object that asks for it.</param>
    /// <param name="takesPlain">Whether the sidecar accepts plain text, too.</param>
    public Problem OriginatedToSidecar(PodRef callee, ClusterObjects cluster, Pod pod, int port, string by, bool takesPlain)
    {
        var strict = takesPlain ? $"port {port} there accepts only mesh TLS and plain text"
            : PeerPolicies.PolicyOf(facts, cluster, pod, port) is { } policy
            ? $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster} is STRICT"
            : $"{callee} accepts only mesh TLS";
        var isRule = by.StartsWith("DestinationRule ", StringComparison.Ordinal);
        return Faults.Of("ISM2089", $"{by} in {config.At.Context}", isRule ? "spec.trafficPolicy.tls.mode" : "spec.targetRefs",
            $"makes the caller's proxy begin TLS of its own with {callee}, which has a sidecar, and {strict}",
            isRule ? MeshTlsAgain : Without(config.At, by));
    }

    /// <summary>A BackendTLSPolicy for workloads behind the gateway of another network, which routes by the server names of mesh TLS; null for
    /// others.</summary>
    /// <param name="by">The kind and name of the object that asks for TLS.</param>
    public Problem? OfPolicyThrough(string by, ClusterObjects cluster) => !by.StartsWith(MeshApi.BackendTlsPolicy.Kind, StringComparison.Ordinal) ? null
        : Faults.Of("ISM2089", $"{by} in {config.At.Context}", "spec.targetRefs",
            $"makes the caller's proxy begin TLS of its own, and the gateway of {cluster.Context} routes only by the server names of mesh TLS",
            Without(config.At, by));

    /// <summary>A BackendTLSPolicy that leaves callers without the endpoints of another network; null when none applies.</summary>
    public Problem? OfPolicyAcross(MeshHost host, int port, string network) => config.BackendTls(host.Fqdn, port) is not { } policy ? null
        : Faults.Of("ISM2089", $"{policy.Source.Kind} {policy.Namespace}/{policy.Source.Name} in {config.At.Context}", "spec.targetRefs",
            $"makes callers begin TLS of their own, and only mesh TLS can pass the gateway of {network}",
            Without(config.At, $"{policy.Source.Kind} {policy.Namespace}/{policy.Source.Name}"));

    /// <summary>The command that removes a BackendTLSPolicy.</summary>
    /// <param name="by">Its kind and name.</param>
    public static string Without(ClusterObjects at, string by) => by.Split(' ')[^1].Split('/') is [var ns, var name]
        ? $"kubectl --context={at.Context} -n {ns} delete {MeshApi.BackendTlsPolicy} {name}" : $"delete {by}";

    /// <summary>The BackendTLSPolicy of a host has no CA that can be used, so that callers make no connection; null when it is not that.</summary>
    public Problem? WithoutCa(string fqdn, int port)
    {
        if (config.BackendTls(fqdn, port) is not { } policy || UnusableCa(policy) is not { Why.Length: > 0 } unusable) return null;
        return Faults.Of("ISM2089", $"{policy.Source.Kind} {policy.Namespace}/{policy.Source.Name} in {config.At.Context}",
            "spec.validation.caCertificateRefs",
            $"demands TLS with the endpoints, and has no CA to check them with, so callers make no connection: {unusable.Why}", unusable.Remedy);
    }

    /// <summary>What is wrong with the CAs of a policy; empty for nothing, or until they have been looked at.</summary>
    private (string Why, string Remedy) UnusableCa(BackendTlsPolicy policy)
    {
        const string into = "put the CA that issued the certificate of the server into ca.crt of that object, or correct the reference";
        var looked = policy.CaCertificates.Where(reference => reference is { Group: "", Kind: "ConfigMap" }).Select(reference => (Name: reference,
            Found: needs.Held(new(config.At.Context, reference.Kind, reference.Namespace, reference.Name)))).ToList();
        // A status does not tell an object that is not there from one without the key.
        if (looked.Count > 0 && looked.Count == policy.CaCertificates.Count && looked.TrueForAll(one => one.Found is { Problem.Length: > 0 }))
        {
            return (string.Join("; ", looked.Select(one => $"{one.Name.Kind} {one.Name.Namespace}/{one.Name.Name} {one.Found!.Problem}"
                + (one.Found.IsMissing ? "" : one.Found.Keys.Count > 0 ? $": it has {string.Join(", ", one.Found.Keys)}" : ": it is empty"))),
                looked is [{ Found.IsMissing: true, Name: var missing }]
                    ? $"create it, with the CA that issued the certificate of the server: kubectl --context={config.At.Context} -n {missing.Namespace} create "
                        + $"configmap {missing.Name} --from-file=ca.crt=FILE; or correct the reference" : into);
        }
        return (config.At.Rejection(policy) is { Length: > 0 } told ? told
            : policy.CaCertificates.IsEmpty && !policy.UsesSystemCas ? "it names neither caCertificateRefs nor wellKnownCACertificates" : "", into);
    }

    /// <summary>A port in portLevelMtls that is the Service's, where the workload's is needed; null when there is none.</summary>
    private static (int Number, string Service)? Misnumbered(PeerAuthentication policy, ClusterObjects cluster, Pod pod, int port)
    {
        if (policy.Selector.Count == 0) return null;
        foreach (var service in cluster.Services.Where(service => service.Metadata.Namespace == pod.Metadata.Namespace
            && cluster.Behind(service).Contains(pod)))
        {
            var named = service.Spec.Ports.Find(candidate => candidate.Port != port && ServicePods.Target(candidate, pod) == port
                && policy.Ports.GetValueOrDefault(candidate.Port.ToString(System.Globalization.CultureInfo.InvariantCulture)) is MtlsMode.Disable
                    or MtlsMode.Permissive);
            if (named is not null) return (named.Port, $"Service {service.Key} in {cluster.Context}");
        }
        return null;
    }

    /// <summary>The callee does not terminate mesh TLS on a port.</summary>
    public Problem NoMeshTlsAt(PodRef callee, ClusterObjects cluster, Pod pod, int port, string rule)
    {
        var policy = PeerPolicies.PolicyOf(facts, cluster, pod, port);
        var why = policy is null
            ? $"{callee} does not accept it on port {port}"
            : $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster} disables it on port {port} of {callee}";
        return rule.Length > 0
            ? Faults.Of("ISM2066", $"DestinationRule {rule} in {config.At.Context}", "spec.trafficPolicy.tls.mode", $"requires mesh TLS, but {why}",
                "set trafficPolicy.tls.mode DISABLE, or allow mesh TLS at the callee")
            : Faults.Of("ISM2066", policy is null ? callee.ToString() : $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster}",
                policy is null ? "" : ModeField(policy, $"{port}"), $"the caller uses mesh TLS, but {why}",
                policy is null
                    ? $"set trafficPolicy.tls.mode DISABLE for the port in a DestinationRule for {facts.Target.Host}"
                    : Encrypted(policy, $"{port}"));
    }

    /// <summary>The field that decides the mode of a port of workloads.</summary>
    public static string ModeField(PeerAuthentication policy, string port) =>
        policy.Ports.ContainsKey(port) ? $"spec.portLevelMtls[{port}].mode" : "spec.mtls.mode";

    /// <summary>How a policy lets callers begin mesh TLS at a port.</summary>
    public static string Encrypted(PeerAuthentication policy, string port) => $"set {ModeField(policy, port)[5..]} to PERMISSIVE or STRICT";

    /// <summary>The caller's configuration names identities, and not the callee's.</summary>
    public Problem OtherIdentity(PodRef callee, string identity, TracedCall call)
    {
        if (call.Host is { } host)
        {
            var named = config.RulesFor(host).SelectMany(rule =>
                PoliciesOf(rule).Select(one => (Rule: rule, one.Field, one.Policy.Tls))).FirstOrDefault(one =>
                Excludes(one.Tls?.SubjectAltNames ?? default, identity));
            if (named.Rule is { } rule)
            {
                return Faults.Of("ISM2062", $"DestinationRule {rule.Namespace}/{rule.Name} in {config.At.Context}", $"{named.Field}.tls.subjectAltNames",
                    $"accepts {string.Join(", ", named.Tls!.SubjectAltNames)}, and the certificate of {callee} has {identity}",
                        $"add {identity} there, or leave the field out: the service account is checked then");
            }
            if (host.Entries.FirstOrDefault(entry => Excludes(entry.SubjectAltNames, identity)) is { } entry)
            {
                return Faults.Of("ISM2062", $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}", "spec.subjectAltNames",
                    $"accepts {string.Join(", ", entry.SubjectAltNames)}, and the certificate of {callee} has {identity}", $"add {identity} there");
            }
        }
        return Faults.Of("ISM2062", callee.ToString(), "spec.serviceAccountName", $"is {identity}, but the caller accepts only other identities",
            "recent endpoint changes take a moment to propagate; otherwise check subjectAltNames of the DestinationRule or ServiceEntry");
    }

    private static bool Excludes(ValueList<string> names, string identity) => !names.IsEmpty && !names.Contains(identity);

    /// <summary>The traffic policies of a rule, with the paths of their fields.</summary>
    private static IEnumerable<(string Field, TrafficPolicy Policy)> PoliciesOf(DestinationRule rule) =>
    [
        .. WithPorts("spec.trafficPolicy", rule.Policy),
        .. rule.Subsets.SelectMany((subset, index) => subset.Policy is null ? [] : WithPorts($"spec.subsets[{index}].trafficPolicy", subset.Policy)),
    ];

    private static IEnumerable<(string Field, TrafficPolicy Policy)> WithPorts(string field, TrafficPolicy policy) =>
        [(field, policy), .. policy.Ports.Select((port, index) => ($"{field}.portLevelSettings[{index}]", port.Policy))];

    public Problem MeshTlsToPlain(string rule, PodRef callee) => rule.Length > 0
        ? Faults.Of("ISM2067", $"DestinationRule {rule} in {config.At.Context}", "spec.trafficPolicy.tls.mode",
            $"requires mesh TLS, but {callee} has no sidecar to terminate it", "set trafficPolicy.tls.mode DISABLE, or give the callee a sidecar")
        : Faults.Of("ISM2067", callee.ToString(), "", "is marked as accepting mesh TLS, but has no sidecar to terminate it",
            $"check its label {Labels.TlsMode}, and whether its namespace is injected");

    /// <summary>One end belongs to a trust domain that the other end does not accept.</summary>
    public Problem OtherTrustDomain(PodRef shown, ClusterObjects cluster, string identity, PodRef checking, string own) =>
        Faults.Of("ISM2063",
            facts.MapNameOf(cluster) is { Length: > 0 } map ? map : $"cluster {cluster.Context}",
            TraceFacts.MeshField("trustDomain"),
            $"{shown} is {identity}, but {checking} is {own} and accepts only its own trust domain",
            Accepting(cluster, DomainOf(identity), facts.Clusters.First(other => other.Context == checking.Context), DomainOf(own)));

    /// <summary>How two clusters come to accept each other's identities: each needs the trust domain of the other as an alias.</summary>
    private string Accepting(ClusterObjects one, string domain, ClusterObjects other, string otherDomain)
    {
        if (facts.MeshConfigOf(one) == facts.MeshConfigOf(other))
            return $"set the same meshConfig.trustDomain in all control planes of {one.Context}, then restart the workloads: those that run since before keep "
                + "their identity";
        var missing = new[] { Alias(other, domain), Alias(one, otherDomain) }.Where(alias => alias.Length > 0).ToList();
        return "set the same meshConfig.trustDomain in both"
            + (missing.Count > 0 ? $", or add {string.Join(" and ", missing)}; then restart the workloads" : ", then restart the workloads");
    }

    /// <summary>The alias that the MeshConfig of a cluster needs to accept a trust domain; empty: it has it.</summary>
    private string Alias(ClusterObjects cluster, string domain) => facts.SettingsOf(cluster).Mesh.TrustDomains.Contains(domain) ? ""
        : $"{domain} to {TraceFacts.MeshField("trustDomainAliases")} of {facts.MeshConfigOf(cluster)}";

    private static string DomainOf(string identity) =>
        identity.StartsWith(Spiffe, StringComparison.Ordinal) ? identity[Spiffe.Length..].Split('/')[0] : identity;

    private const string Spiffe = "spiffe://";

    /// <summary>The caller's control plane tells it to accept identities of a trust domain that the callee is not in.</summary>
    /// <param name="domain">The trust domain that the caller accepts.</param>
    public Problem ChangedTrustDomain(PodRef shown, string identity, string domain) =>
        Faults.Of("ISM2063",
            facts.MapNameOf(facts.Home) is { Length: > 0 } map ? map : $"cluster {facts.Home.Context}",
            TraceFacts.MeshField("trustDomain"), $"{shown} is {identity}, and callers in {facts.Home.Context} accept only identities of {domain}",
            $"set the same meshConfig.trustDomain in all clusters, or add {DomainOf(identity)} to {TraceFacts.MeshField("trustDomainAliases")} of "
                + $"{facts.MeshConfigOf(facts.Home)}, then restart control planes and workloads");

    /// <summary>A certificate that has ended: proxies renew theirs, unless the CA that signs them has ended, too.</summary>
    public Problem Expired(PodRef who, ShownCertificate shown) =>
        shown.Rest.FirstOrDefault(issuer => issuer.NotAfter.ToUniversalTime() <= facts.Now) is { } issuer
        ? Faults.Of("ISM2061", $"CA of {who.Context}", $"Secret {facts.SystemNamespaceOf(who.Context)}/{WellKnown.CaCerts}",
            $"'{issuer.Subject}' expired at {issuer.NotAfter.ToUniversalTime():u}, and with it all certificates that it has signed, as that of {who}: no proxy "
                + $"gets a new one",
            $"put a new CA of the same root into the Secret (isthmus ca intermediate): proxies renew their certificates at once")
        : Faults.Of("ISM2061", who.ToString(), "", $"its certificate expired at {shown.Expires:u}",
            "its proxy renews it automatically: check its log, and whether it reaches its control plane");

    /// <summary>One end's certificate chains to none of the other's roots.</summary>
    /// <param name="shown">The owner of the certificate.</param>
    /// <param name="checking">The end that does not trust it.</param>
    public Problem Untrusted(PodRef shown, PodRef checking, ShownCertificate certificate, TrustBundle roots, string why)
    {
        var own = facts.Proxies.GetValueOrDefault(shown)?.Roots("ROOTCA");
        var differ = own is not null && !own.Roots.Select(root => root.Thumbprint).Intersect(roots.Roots.Select(root => root.Thumbprint)).Any();
        if (!differ)
            return Faults.Of("ISM2068", shown.ToString(), "", $"{checking} does not trust its certificate: {why}",
                "restart the Pod to get a certificate of the current CA");
        var at = shown.Context != checking.Context ? $"CA of {shown.Context}" : shown.ToString();
        return Faults.Of("ISM1010", at, $"Secret {facts.SystemNamespaceOf(shown.Context)}/{WellKnown.CaCerts}",
            $"the certificate of {shown} was issued by '{certificate.Leaf.Issuer}' under the root {Named(own!.Roots[0])}, while {checking} trusts "
                + $"{Named(roots.Roots[0])} only",
            "give all clusters a 'cacerts' Secret of one root, then restart control planes and workloads");
    }

    /// <summary>Roots of different CAs may have one name: the beginning of the digest tells them apart, as <c>verify</c> writes it.</summary>
    private static string Named(System.Security.Cryptography.X509Certificates.X509Certificate2 root) =>
        $"'{root.Subject}' (SHA-256 {root.GetCertHashString(System.Security.Cryptography.HashAlgorithmName.SHA256)[..16]}…)";
}
