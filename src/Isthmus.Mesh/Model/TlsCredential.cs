namespace Isthmus.Mesh.Model;

/// <summary>The TLS content of a Secret, as PEM; missing parts are empty.</summary>
public sealed record TlsCredential(ObjectRef Source, string Certificate, string PrivateKey, string CaCertificates)
{
    /// <summary>Holds a private key, so it must never be printed.</summary>
    /// <summary>Why certificate and key cannot be used; empty when they can, or when there is only a client CA.</summary>
    public string Problem { get; init; } = "";

    public override string ToString() => $"{nameof(TlsCredential)} {Source}";
}
