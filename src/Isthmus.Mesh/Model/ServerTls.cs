using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

public enum ServerTlsMode { Passthrough, Simple, Mutual, AutoPassthrough, IstioMutual, OptionalMutual }

/// <summary>TLS of a gateway's server, as the Gateway asks for it.</summary>
public sealed record ServerTls(ServerTlsMode Mode)
{
    public bool HttpsRedirect { get; init; }
    public string ServerCertificate { get; init; } = "";
    public string PrivateKey { get; init; } = "";
    public string CaCertificates { get; init; } = "";
    public string CredentialName { get; init; } = "";
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
}
