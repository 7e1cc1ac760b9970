using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>What BackendTLSPolicies mean for a Service, and what their statuses say.</summary>
public static class BackendTlsRules
{
    /// <summary>What applies at the ports of a host. A policy for a port comes before one for all, and for one target, the first by precedence
    /// applies.</summary>
    /// <param name="service">The host.</param>
    /// <param name="policies">Those with a target that is the host's Service.</param>
    /// <param name="bundleOf">Finds the CAs of ConfigMaps and ClusterTrustBundles.</param>
    public static ValueList<BackendTls> Of(MeshService service, IEnumerable<BackendTlsPolicy> policies, Func<ApiReference, TlsCredential?> bundleOf)
    {
        var found = new List<BackendTls>();
        foreach (var policy in BackendPolicies.Ordered(policies))
        {
            foreach (var target in policy.Targets.Where(target => BackendPolicies.IsOf(target, service)))
            {
                var port = target.Section.Length == 0 ? 0 : service.Ports.FirstOrDefault(port => port.Name == target.Section)?.Number ?? -1;
                if (port < 0 || found.Exists(other => other.Port == port)) continue;
                var roots = Roots(policy, bundleOf);
                found.Add(new(policy.Source, port, policy.Hostname, policy.SubjectAltNames.Select(name => name.Value).ToValueList(),
                    roots.Pem) { IsBlocked = roots.Invalid is not null });
            }
        }
        return found.ToValueList();
    }

    /// <summary>What the status of a policy says for each of its ancestors.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="others">All policies with one of its targets.</param>
    /// <param name="bundleOf">Finds the CAs of ConfigMaps and ClusterTrustBundles.</param>
    public static ValueList<ApiCondition> ConditionsOf(BackendTlsPolicy policy, IEnumerable<BackendTlsPolicy> others,
        Func<ApiReference, TlsCredential?> bundleOf)
    {
        var roots = Roots(policy, bundleOf);
        return
        [
            BackendPolicies.Accepted(roots.Invalid ?? BackendPolicies.Conflict(policy, others)),
            roots.Unresolved is null
                ? new("ResolvedRefs", true, "ResolvedRefs", "All references resolved")
                : new("ResolvedRefs", false, roots.Unresolved.Reason, roots.Unresolved.Message),
        ];
    }

    /// <summary>The CAs of a policy that can be used.</summary>
    private static (string Pem, ApiFault? Invalid, ApiFault? Unresolved) Roots(BackendTlsPolicy policy, Func<ApiReference, TlsCredential?> bundleOf)
    {
        if (policy.CaCertificates.IsEmpty)
            return policy.UsesSystemCas
                ? ("", null, null)
                : ("", new("Invalid", "spec.validation names neither caCertificateRefs nor wellKnownCACertificates System"), null);
        ApiFault? unresolved = null;
        var pems = new List<string>();
        foreach (var reference in policy.CaCertificates)
        {
            var name = reference.IsTrustBundle ? $"{reference.Kind} {reference.Name}" : $"{reference.Kind} {reference.Namespace}/{reference.Name}";
            if (reference is not ({ Group: "", Kind: "ConfigMap" } or { IsTrustBundle: true }))
                unresolved ??= new("InvalidKind", $"{name}: CAs are read from ConfigMaps and from ClusterTrustBundles of group certificates.k8s.io only");
            else if (bundleOf(reference) is not { } bundle)
                unresolved ??= new("InvalidCACertificateRef", $"{name} does not exist, or has no {(reference.IsTrustBundle ? "spec.trustBundle" : "ca.crt")}");
            else if (bundle.CaProblem.Length > 0) unresolved ??= new("InvalidCACertificateRef", $"{name} {bundle.CaProblem}");
            else pems.Add(bundle.CaCertificates.TrimEnd());
        }
        return pems.Count > 0 ? (string.Join('\n', pems) + "\n", null, unresolved) : ("", new("NoValidCACertificate", unresolved!.Message), unresolved);
    }
}
