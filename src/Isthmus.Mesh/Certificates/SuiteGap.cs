using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Certificates;

/// <summary>The cipher suites of a server are for other keys than that of its certificate.</summary>
/// <param name="Suites">By OpenSSL's names.</param>
/// <param name="Key">The kind of the key: <c>RSA</c> or <c>ECDSA</c>.</param>
/// <param name="IsFatal">No client gets through: TLS 1.3, whose suites are for all keys, is not allowed.</param>
public sealed record SuiteGap(ValueList<string> Suites, string Key, bool IsFatal)
{
    private const string Rsa = "RSA", Ecdsa = "ECDSA";

    /// <summary>The field with the suites; empty when it is not known.</summary>
    public string Field { get; init; } = "";

    public string Why => $"has {string.Join(", ", Suites)}, which need a key of {Other}, and that of the certificate is of {Key}: "
        + (IsFatal ? "the gateway and its clients agree on no suite, and TLS fails" : "TLS fails for clients that speak TLS 1.2 and no later version");

    public string Remedy => $"add {Counterpart}, or use a certificate with a key of {Other}";

    private string Counterpart =>
        Key == Rsa ? Suites[0].Replace(Ecdsa, Rsa, StringComparison.Ordinal) : $"ECDHE-{Ecdsa}-{Suites[0].Split("RSA-")[^1]}";

    private string Other => Key == Rsa ? Ecdsa : Rsa;

    /// <summary>Null if a suite is for the key, if all are allowed, or if they are not known.</summary>
    /// <param name="suites">Those of TLS 1.2, by OpenSSL's names; empty: all.</param>
    public static SuiteGap? Find(X509Certificate2 leaf, ValueList<string> suites, bool allows13)
    {
        var key = leaf.PublicKey.Oid.Value switch { "1.2.840.113549.1.1.1" => Rsa, "1.2.840.10045.2.1" => Ecdsa, _ => "" };
        // A suite that names no kind of key is for RSA.
        return key.Length == 0 || suites.IsEmpty || suites.Any(suite => suite.Contains(Ecdsa, StringComparison.Ordinal) == (key == Ecdsa)) ? null
            : new(suites, key, !allows13);
    }
}
