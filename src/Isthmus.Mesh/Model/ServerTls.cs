using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

public enum ServerTlsMode { Passthrough, Simple, Mutual, AutoPassthrough, IstioMutual, OptionalMutual }

/// <summary>The files of a certificate.</summary>
/// <param name="Field">Where the TLS settings name them; empty: in their own fields.</param>
public sealed record CertificateFiles(string Certificate, string PrivateKey, string Field);

/// <summary>What kind of object holds certificates.</summary>
public enum CredentialHolder { Secret, ConfigMap, ClusterTrustBundle }

/// <summary>A Secret with a certificate, or another object with CAs.</summary>
/// <param name="Field">The field of the TLS settings that names it.</param>
public sealed record NamedCredential(string Name, string Field)
{
    /// <summary>The namespace of the object; empty: that of the gateway's Pods, or none for a ClusterTrustBundle.</summary>
    public string Namespace { get; init; } = "";

    public CredentialHolder Holder { get; init; }

    /// <summary>The name under which proxies get it. What a user writes as a name cannot be one of another namespace.</summary>
    public string Resource => Holder switch
    {
        CredentialHolder.ClusterTrustBundle => $"clustertrustbundle://{Name}",
        CredentialHolder.ConfigMap => $"configmap://{Namespace}/{Name}",
        _ => Namespace.Length == 0 ? $"kubernetes://{Name}" : $"kubernetes-gateway://{Namespace}/{Name}",
    };

    /// <summary>The Secret beside it that has the CA of clients.</summary>
    public NamedCredential Ca => this with { Name = Name + "-cacert" };

    /// <summary>The name under which proxies get CAs of several objects.</summary>
    public static string ResourceOf(ValueList<NamedCredential> cas) => string.Join(',', cas.Select(ca => $"{ca.Resource}-cacert"));
}

/// <summary>TLS of a gateway's server, as the Gateway asks for it.</summary>
public sealed record ServerTls(ServerTlsMode Mode)
{
    /// <summary>The mode as objects spell it.</summary>
    public string ModeText => Mode switch
    {
        ServerTlsMode.AutoPassthrough => "AUTO_PASSTHROUGH",
        ServerTlsMode.IstioMutual => "ISTIO_MUTUAL",
        ServerTlsMode.OptionalMutual => "OPTIONAL_MUTUAL",
        _ => Mode.ToString().ToUpperInvariant(),
    };

    public bool HttpsRedirect { get; init; }
    /// <summary>The certificates in files. Several fit clients that verify different kinds of keys.</summary>
    public ValueList<CertificateFiles> Files { get; init; }
    public string CaCertificates { get; init; } = "";
    /// <summary>The certificates in Secrets; the first is also the place of the CA of clients. They replace files.</summary>
    public ValueList<NamedCredential> Credentials { get; init; }
    /// <summary>The objects with the CAs of clients; none: see <see cref="Credentials"/>.</summary>
    public ValueList<NamedCredential> ClientCas { get; init; }
    /// <summary>Clients with certificates of other CAs are served, too.</summary>
    public bool AcceptsUntrusted { get; init; }
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

    /// <summary>What it asks of clients. Where two servers differ in it, a connection to one cannot serve as one to the other.</summary>
    public ClientRule Clients => Mode switch
    {
        _ when IsBlocked => ClientRule.None with { Mode = Mode, IsBlocked = true },
        ServerTlsMode.Mutual or ServerTlsMode.OptionalMutual => new(Mode, CaName, SubjectAltNames, KeyPins,
            CertificatePins) { AcceptsUntrusted = AcceptsUntrusted },
        ServerTlsMode.IstioMutual => new(Mode, "", SubjectAltNames, KeyPins, CertificatePins),
        _ => ClientRule.None,
    };

    /// <summary>Whether the credential at a place of the list is also the place of the CA of clients.</summary>
    public bool NeedsCa(int credential) => credential == 0 && ChecksClients && ClientCas.IsEmpty;

    /// <summary>The files that the gateway reads, and the field that names each.</summary>
    public IEnumerable<(string Field, string Path)> NamedFiles
    {
        get
        {
            if (Mode is ServerTlsMode.IstioMutual || !Terminates || !Credentials.IsEmpty) yield break;
            foreach (var (certificate, key, at) in Files)
            {
                yield return ($"{at}serverCertificate", certificate);
                yield return ($"{at}privateKey", key);
            }
            if (ChecksClients && ClientCas.IsEmpty) yield return ("caCertificates", CaCertificates);
        }
    }

    private string CaName => !ClientCas.IsEmpty ? NamedCredential.ResourceOf(ClientCas) : Credentials.IsEmpty ? CaCertificates : Credentials[0].Name;
}

/// <summary>Which certificates a server asks its clients for.</summary>
/// <param name="Ca">The Secret or file with the CA; empty: that of the mesh, or none.</param>
public sealed record ClientRule(ServerTlsMode Mode, string Ca, ValueList<string> SubjectAltNames, ValueList<string> KeyPins, ValueList<string> CertificatePins)
{
    /// <summary>Any client is served, and none is asked for a certificate.</summary>
    public static readonly ClientRule None = new(ServerTlsMode.Simple, "", default, default, default);

    /// <summary>Certificates of other CAs do, too.</summary>
    public bool AcceptsUntrusted { get; init; }

    /// <summary>No client is served.</summary>
    public bool IsBlocked { get; init; }
}
