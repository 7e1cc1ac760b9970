using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;
using ObjectRef = Isthmus.Mesh.Model.ObjectRef;

namespace Isthmus.Operate.Diagnose;

/// <summary>What a Secret holds of TLS, as control planes see it, without its values. Pure.</summary>
internal static class SecretReading
{
    /// <param name="secret">Null: it does not exist.</param>
    internal static KnownSecret Of(Secret? secret) => new(secret is null ? null : secret.Data.Count > 0 ? Masked(KubeFacts.Of("", secret)) : OfFacts(secret));

    private static TlsCredential? Masked(TlsCredential? read) => read is null ? null : read with
    {
        Certificate = Mask(read.Certificate), PrivateKey = Mask(read.PrivateKey), CaCertificates = Mask(read.CaCertificates), Revocations = "", Registries = "",
    };

    /// <summary>A bug report has what a Secret holds instead of its values.</summary>
    private static TlsCredential OfFacts(Secret secret)
    {
        var facts = SecretFacts.Of(secret);
        var source = new ObjectRef("", "Secret", secret.Metadata.Namespace, secret.Metadata.Name);
        var pair = facts.KeyPairProblem.Length == 0 ? KnownSecret.Held : "";
        return new(source, pair, pair, facts.HasClientCa ? KnownSecret.Held : "") { Problem = facts.KeyPairProblem };
    }

    private static string Mask(string value) => value.Length > 0 ? KnownSecret.Held : "";
}
