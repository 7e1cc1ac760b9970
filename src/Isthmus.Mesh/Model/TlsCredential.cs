namespace Isthmus.Mesh.Model;

/// <summary>The TLS content of a Secret, as PEM, or its credentials of registries; missing parts are empty.</summary>
public sealed record TlsCredential(ObjectRef Source, string Certificate, string PrivateKey, string CaCertificates)
{
    /// <summary>The certificates that the CA has revoked, as PEM; empty when the Secret does not say.</summary>
    public string Revocations { get; init; } = "";

    /// <summary>The credentials with which images are pulled, as Docker writes them.</summary>
    public string Registries { get; init; } = "";

    /// <summary>Why certificate and key cannot be used; empty when they can, or when there is only a client CA.</summary>
    public string Problem { get; init; } = "";

    /// <summary>Why the client CA cannot be used; empty when it can, or when there is none.</summary>
    public string CaProblem { get; init; } = "";

    /// <summary>Certificate and key are there, and can be used.</summary>
    public bool HasPair => Certificate.Length > 0 && PrivateKey.Length > 0 && Problem.Length == 0;

    /// <summary>A client CA is there, and can be used.</summary>
    public bool HasCa => CaCertificates.Length > 0 && CaProblem.Length == 0;

    /// <summary>It holds a private key, so it must never be printed.</summary>
    public override string ToString() => $"{nameof(TlsCredential)} {Source}";
}
