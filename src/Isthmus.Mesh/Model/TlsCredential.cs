namespace Isthmus.Mesh.Model;

/// <summary>What a Secret has for TLS, as PEM; empty parts are not in it.</summary>
public sealed record TlsCredential(ObjectRef Source, string Certificate, string PrivateKey, string CaCertificates)
{
    /// <summary>It holds a private key: never to be printed.</summary>
    public override string ToString() => $"{nameof(TlsCredential)} {Source}";
}
