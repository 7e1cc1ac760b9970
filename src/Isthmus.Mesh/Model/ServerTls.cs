using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

public enum ServerTlsMode { Passthrough, Simple, Mutual, AutoPassthrough, IstioMutual, OptionalMutual }

/// <summary>The files of a certificate.</summary>
public sealed record CertificateFiles(string Certificate, string PrivateKey);

/// <summary>A Secret with a certificate.</summary>
/// <param name="Field">The field of the TLS settings that names it.</param>
public sealed record NamedCredential(string Name, string Field);

/// <summary>TLS of a gateway's server, as the Gateway asks for it.</summary>
public sealed record ServerTls(ServerTlsMode Mode)
{
    public bool HttpsRedirect { get; init; }
    /// <summary>The certificates in files. Several fit clients that verify different kinds of keys.</summary>
    public ValueList<CertificateFiles> Files { get; init; }
    public string CaCertificates { get; init; } = "";
    /// <summary>The certificates in Secrets; the first is also the place of the CA of clients. They replace files.</summary>
    public ValueList<NamedCredential> Credentials { get; init; }
    public ValueList<string> SubjectAltNames { get; init; }
    /// <summary>SHA-256 hashes of client keys, in Base64. A client needs one of these or of <see cref="CertificatePins"/>; both empty: any.</summary>
    public ValueList<string> KeyPins { get; init; }
    /// <summary>SHA-256 hashes of client certificates, in hexadecimal.</summary>
    public ValueList<string> CertificatePins { get; init; }
    public TlsLimits Limits { get; init; } = TlsLimits.None;

    /// <summary>The settings demand what proxies cannot do: connections to the server are closed.</summary>
    public bool IsBlocked { get; init; }

    /// <summary>Whether the gateway terminates TLS, and so needs certificates.</summary>
    public bool Terminates => Mode is not (ServerTlsMode.Passthrough or ServerTlsMode.AutoPassthrough);

    /// <summary>Whether clients are asked for certificates of a CA that the Gateway names.</summary>
    public bool ChecksClients => Mode is ServerTlsMode.Mutual or ServerTlsMode.OptionalMutual;

    /// <summary>Whether the credential at a place of the list is also the place of the CA of clients.</summary>
    public bool NeedsCa(int credential) => credential == 0 && ChecksClients;
}
