using Isthmus.ControlPlane.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using ObjectRef = Isthmus.Mesh.Model.ObjectRef;

namespace Isthmus.Operate.Inventory;

/// <summary>What is known of a Secret that an object of the Gateway API names.</summary>
/// <param name="Credential">What of TLS it holds, without its values; null: nothing, or it does not exist.</param>
public sealed record KnownSecret(TlsCredential? Credential)
{
    /// <summary>Stands for a value.</summary>
    private const string Held = "held";

    /// <summary>Nobody said what it holds: nothing is wrong with it.</summary>
    public static TlsCredential Unread(string ns, string name) => new(new("", "Secret", ns, name), Held, Held, Held);

    /// <param name="secret">Null: it does not exist.</param>
    public static KnownSecret Of(Secret? secret) => new(secret is null ? null : secret.Data.Count > 0 ? Masked(KubeFacts.Of("", secret)) : OfFacts(secret));

    private static TlsCredential? Masked(TlsCredential? read) => read is null ? null : read with
    {
        Certificate = Mask(read.Certificate), PrivateKey = Mask(read.PrivateKey), CaCertificates = Mask(read.CaCertificates), Revocations = "", Registries = "",
    };

    /// <summary>A bug report has what a Secret holds instead of its values.</summary>
    private static TlsCredential OfFacts(Secret secret)
    {
        var facts = SecretFacts.Of(secret);
        var pair = facts.KeyPairProblem.Length == 0 ? Held : "";
        return new(new ObjectRef("", "Secret", secret.Metadata.Namespace, secret.Metadata.Name), pair, pair, facts.HasClientCa ? Held
            : "") { Problem = facts.KeyPairProblem };
    }

    private static string Mask(string value) => value.Length > 0 ? Held : "";
}
