using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Looks up what listeners refer to.</summary>
/// <param name="Secret">The certificate of a Secret; null if there is none, or nothing of TLS in it.</param>
/// <param name="Bundle">The CAs of a ConfigMap or, without a namespace, of a ClusterTrustBundle; null if there is none, or no CA in it.</param>
/// <param name="Grants">The grants of a namespace.</param>
public sealed record ListenerReferences(
    Func<ObjectName, TlsCredential?> Secret, Func<ObjectName, TlsCredential?> Bundle, Func<string, ValueList<ReferenceGrant>> Grants)
{
    /// <summary>What is wrong with a reference to a certificate and its key; null for nothing.</summary>
    /// <param name="from">The object that has the reference.</param>
    /// <param name="reference">The reference.</param>
    /// <param name="invalid">The reason of what is wrong with it, except that it is not permitted.</param>
    public ApiFault? PairFault(ObjectRef from, ApiReference reference, string invalid)
    {
        if (reference is not { Group: "", Kind: "Secret" }) return new(invalid, $"{TextOf(reference)} is not a Secret: certificates are in Secrets");
        if (NotPermitted(from, reference) is { } denied) return denied;
        return Secret(new(reference.Namespace, reference.Name)) switch
        {
            null => new(invalid, $"{TextOf(reference)} does not exist or holds no certificate"),
            { Problem.Length: > 0 } wrong => new(invalid, $"{TextOf(reference)} {wrong.Problem}"),
            { HasPair: false } => new(invalid, $"{TextOf(reference)} holds no certificate with its key (tls.crt and tls.key)"),
            _ => null,
        };
    }

    /// <summary>The same for a reference to the CAs of clients.</summary>
    public ApiFault? CaFault(ObjectRef from, ApiReference reference)
    {
        if (reference is not ({ Group: "", Kind: "Secret" or "ConfigMap" } or { IsTrustBundle: true }))
            return new("InvalidCACertificateKind", $"{TextOf(reference)} is no ConfigMap, Secret or ClusterTrustBundle: CAs of clients are in these");
        if (reference.IsTrustBundle && (reference.Written & ReferenceFields.Namespace) != 0)
            return new("InvalidCACertificateRef", $"{TextOf(reference)} has no namespace: remove {reference.Namespace} from the reference");
        if (NotPermitted(from, reference) is { } denied) return denied;
        var field = reference.IsTrustBundle ? "spec.trustBundle" : "ca.crt";
        return (reference.Kind == "Secret" ? Secret(new(reference.Namespace, reference.Name)) : Bundle(reference.Bundle)) switch
        {
            null => new("InvalidCACertificateRef", $"{TextOf(reference)} does not exist or holds no CA ({field})"),
            { CaProblem.Length: > 0 } wrong => new("InvalidCACertificateRef", $"{TextOf(reference)} {wrong.CaProblem}"),
            { HasCa: false } => new("InvalidCACertificateRef", $"{TextOf(reference)} holds no CA (ca.crt)"),
            _ => null,
        };
    }

    /// <summary>Whether the object exists is not told to who may not refer to it.</summary>
    private ApiFault? NotPermitted(ObjectRef from, ApiReference reference) => ReferenceGrants.Permit(from, reference, Grants(reference.Namespace)) ? null : new(
        "RefNotPermitted", $"no ReferenceGrant in namespace {reference.Namespace} permits a reference from namespace {from.Namespace} to {TextOf(reference)}"
            + GrantMiss.After(ReferenceGrants.Nearest(from, reference, Grants(reference.Namespace).Concat(Grants(from.Namespace)))));

    private static string TextOf(ApiReference reference) => reference.IsTrustBundle ? $"{reference.Kind} {reference.Name}"
        : $"{reference.Kind}{(reference.Group.Length == 0 ? "" : $".{reference.Group}")} {reference.Namespace}/{reference.Name}";
}
