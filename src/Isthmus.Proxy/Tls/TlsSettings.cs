using System.Security.Authentication;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Tls;

/// <summary>A TLS context of either side. Certificates and roots are named here and come from the secret source.</summary>
/// <param name="Certificates">Names of the secrets with the certificates and keys; empty when none is shown. A server chooses the one that
/// fits its client, a client shows the first.</param>
/// <param name="Root">Name of the secret with the roots; empty when the peer is not checked against any. A client without
/// roots of its own uses the system's, unless its context accepts untrusted servers explicitly.</param>
/// <param name="Peers">The peer's certificate must have one of these names; empty: any.</param>
/// <param name="RequirePeer">Server side: a client without a certificate is refused.</param>
/// <param name="Sni">Client side: the server name sent.</param>
internal sealed record TlsSettings(
    ValueList<string> Certificates, string Root, IReadOnlyList<PeerName> Peers, ValueList<string> Alpn, bool RequirePeer, string Sni, SslProtocols Protocols)
{
    /// <summary>The roots of the operating system: those of a client whose context names none.</summary>
    public const string SystemRoots = "file-root:system";

    /// <summary>The name of the secret with the mesh's roots.</summary>
    public const string MeshRoots = "ROOTCA";

    /// <summary>The roots themselves, where the context has them instead of a name.</summary>
    public InlineRoots? Inline { get; init; }

    /// <summary>The peers are clients.</summary>
    public bool IsServer { get; init; }

    /// <summary>The peers are workloads of the mesh: each has one SPIFFE ID.</summary>
    public bool IsOfMesh => Root == MeshRoots;

    /// <summary>Client side: send the request's host as server name, unless <see cref="Sni"/> is set.</summary>
    public bool SniFromRequest { get; init; }

    /// <summary>Client side: the server's certificate must have the request's host as a name.</summary>
    public bool NameFromRequest { get; init; }

    /// <summary>Client side: the service's host, which stands for the request's host where there is no request.</summary>
    public string ServiceHost { get; init; } = "";

    /// <summary>The peer's certificate, or its key, must be one of these; empty: any.</summary>
    public CertificatePins Pins { get; init; } = CertificatePins.None;

    /// <summary>What to negotiate on a connection that does not exchange metadata before its first byte.</summary>
    public ValueList<string> AlpnWithoutExchange { get; } =
        Alpn.Contains(Wire.Tls.Alpn.IstioPeerExchange) ? Alpn.Where(name => name != Wire.Tls.Alpn.IstioPeerExchange).ToValueList() : Alpn;

    /// <summary>The first certificate; empty when none is shown.</summary>
    public string Certificate => Certificates.IsEmpty ? "" : Certificates[0];

    /// <summary>Whether certificates with ECDSA keys can be used with TLS 1.2.</summary>
    public bool HasEcdsaSuites { get; init; } = true;

    /// <summary>The cipher suites of TLS 1.2, as OpenSSL's list; empty: its default. Those of TLS 1.3 are always offered.</summary>
    public string Ciphers { get; init; } = "";

    public IEnumerable<string> Secrets => Root.Length > 0 ? Certificates.Append(Root) : Certificates;

    /// <exception cref="ResourceException">The context requires certificates of clients but accepts any, or cannot be used.</exception>
    public static TlsSettings From(DownstreamTlsContext context)
    {
        var settings = Common(context.CommonTlsContext ?? new(), "");
        // As in Envoy, names and pins can be checked only if there is a certificate.
        var isChecked = (settings.Peers.Count > 0 || !settings.Pins.IsEmpty) && !AcceptsUntrusted(context.CommonTlsContext);
        settings = settings with { IsServer = true, RequirePeer = (context.RequireClientCertificate ?? false) || isChecked };
        if (settings is { RequirePeer: true, Root: "", Inline: null, Pins.IsEmpty: true } && !AcceptsUntrusted(context.CommonTlsContext))
            throw new ResourceException(
                "require_client_certificate without roots would accept any certificate: set trusted_ca, or trust_chain_verification ACCEPT_UNTRUSTED");
        return settings;
    }

    public static TlsSettings From(UpstreamTlsContext context)
    {
        var settings = Common(context.CommonTlsContext ?? new(), context.Sni);
        return settings is { Root: "", Inline: null, Pins.IsEmpty: true } && !AcceptsUntrusted(context.CommonTlsContext)
            ? settings with { Root = SystemRoots }
            : settings;
    }

    /// <summary>Whether this is a kind of transport socket that can be read.</summary>
    public static bool IsKnown(TransportSocket? socket, bool downstream) =>
        socket is null || IsPlain(socket)
        || (downstream ? (socket.TypedConfig ?? new()).TryRead(out DownstreamTlsContext _) : (socket.TypedConfig ?? new()).TryRead(out UpstreamTlsContext _));

    private static bool IsPlain(TransportSocket socket) =>
        socket.Name == "envoy.transport_sockets.raw_buffer" || socket.TypedConfig?.TypeUrl.EndsWith(".RawBuffer", StringComparison.Ordinal) == true;

    /// <summary>Reads a transport socket; null means plain bytes.</summary>
    /// <exception cref="ResourceException">An unknown kind of transport socket: treating it as plain text could leak data.</exception>
    public static TlsSettings? From(TransportSocket? socket, bool downstream)
    {
        if (socket is null || IsPlain(socket)) return null;
        var config = socket.TypedConfig ?? new Any();
        if (downstream && config.TryRead(out DownstreamTlsContext server)) return From(server);
        if (!downstream && config.TryRead(out UpstreamTlsContext client)) return From(client);
        throw new ResourceException($"transport socket '{socket.Name}' with {config.TypeUrl} is not supported");
    }

    /// <summary>The name to send and the name to expect, for a connection on behalf of a request to <paramref name="authority"/>
    /// (empty: no request).</summary>
    public (string Sni, string Expected) NamesFor(string authority)
    {
        if (!SniFromRequest && !NameFromRequest) return (Sni, "");
        var host = authority.Length > 0 ? HostOf(authority) : ServiceHost;
        // A server name is never an address or a pattern.
        var sni = Sni.Length == 0 && SniFromRequest && !host.StartsWith('*') && !System.Net.IPAddress.TryParse(host, out _) ? host : Sni;
        return (sni, NameFromRequest ? host : "");
    }

    /// <summary>The authority without its port.</summary>
    private static string HostOf(string authority)
    {
        if (authority.StartsWith('[')) return authority[1..].Split(']')[0];
        var colon = authority.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? authority : authority[..colon];
    }

    private static CertificateValidationContext? Validation(CommonTlsContext? common) => common?.ValidationContextTypeCase switch
    {
        CommonTlsContext.ValidationContextTypeOneofCase.CombinedValidationContext => common.CombinedValidationContext.DefaultValidationContext,
        CommonTlsContext.ValidationContextTypeOneofCase.ValidationContext => common.ValidationContext,
        _ => null,
    };

    private static bool AcceptsUntrusted(CommonTlsContext? common) =>
        Validation(common)?.TrustChainVerification == CertificateValidationContext.Types.TrustChainVerification.AcceptUntrusted;

    private static TlsSettings Common(CommonTlsContext common, string sni)
    {
        var validation = Validation(common);
        if (validation?.CustomValidatorConfig is not null)
            throw new ResourceException("custom_validator_config is not supported: peers would not be verified as it says");
        if (validation?.Crl is not null) throw new ResourceException("crl is not supported: revoked certificates would be accepted");
        var root = AcceptsUntrusted(common) ? "" : common.ValidationContextTypeCase switch
        {
            CommonTlsContext.ValidationContextTypeOneofCase.CombinedValidationContext =>
                Name(common.CombinedValidationContext.ValidationContextSdsSecretConfig),
            CommonTlsContext.ValidationContextTypeOneofCase.ValidationContextSdsSecretConfig => Name(common.ValidationContextSdsSecretConfig),
            _ => FileRoot(validation),
        };
        if (common.TlsCertificates.Any(certificate => certificate.CertificateChain?.Filename is not { Length: > 0 }))
            throw new ResourceException("inline TLS certificates are not supported: name a secret or files");
        var certificates = common.TlsCertificateSdsSecretConfigs.Count > 0
            ? common.TlsCertificateSdsSecretConfigs.Select(Name)
            : common.TlsCertificates.Select(certificate => $"file-cert:{certificate.CertificateChain.Filename}~{certificate.PrivateKey?.Filename}");
        var suites = Offered(common.TlsParams?.CipherSuites ?? []);
        var peers = new List<PeerName>();
        if (validation is not null)
        {
            peers.AddRange(validation.MatchSubjectAltNames.Select(PeerName.From));
            peers.AddRange(validation.MatchTypedSubjectAltNames.Select(PeerName.From));
        }
        return new(certificates.ToValueList(), root, peers, common.AlpnProtocols.ToValueList(), false, sni, Versions(common.TlsParams))
        {
            Inline = root.Length == 0 && !AcceptsUntrusted(common) && validation?.TrustedCa is { InlineString.Length: > 0 } ca ? new(ca.InlineString) : null,
            Ciphers = suites,
            HasEcdsaSuites = suites.Length == 0 || suites.Contains("-ECDSA-", StringComparison.Ordinal),
            Pins = validation is null ? CertificatePins.None : CertificatePins.From(validation),
        };
    }

    /// <summary>A secret by its name here. Those that the control plane sends itself are not the agent's of the same name.</summary>
    private static string Name(SdsSecretConfig? secret) =>
        secret?.SdsConfig?.ConfigSourceSpecifierCase == ConfigSource.ConfigSourceSpecifierOneofCase.Ads
            ? DiscoveredSecrets.Local(secret.Name)
            : secret?.Name ?? "";

    private static string FileRoot(CertificateValidationContext? validation)
    {
        if (validation?.TrustedCa is not { } ca) return "";
        return ca.Filename.Length > 0 ? $"file-root:{ca.Filename}" : ca.InlineString.Length > 0 ? ""
            : throw new ResourceException("trusted_ca is supported as a file or as inline_string");
    }

    /// <exception cref="ResourceException">A suite that is not known: as in Envoy, the resource would not mean what it says without it.</exception>
    private static string Offered(IReadOnlyCollection<string> names)
    {
        // Envoy's groups of equal preference, [A|B], are lists here.
        var suites = names.SelectMany(name => name.Split(['[', '|', ']'], StringSplitOptions.RemoveEmptyEntries)).ToList();
        return suites.Find(name => !CipherNames.IsKnown(name)) is { } unknown
            ? throw new ResourceException($"Failed to initialize cipher suites: {unknown} is not supported")
            : string.Join(':', suites.Distinct());
    }

    /// <summary>TLS 1.2 and later, within the limits of the resource.</summary>
    /// <exception cref="ResourceException">No version is left.</exception>
    private static SslProtocols Versions(TlsParameters? parameters)
    {
        var least = parameters?.TlsMinimumProtocolVersion ?? TlsParameters.Types.TlsProtocol.TlsAuto;
        var most = parameters?.TlsMaximumProtocolVersion ?? TlsParameters.Types.TlsProtocol.TlsAuto;
        if (most is TlsParameters.Types.TlsProtocol.Tlsv10 or TlsParameters.Types.TlsProtocol.Tlsv11)
            throw new ResourceException("tls_maximum_protocol_version: the oldest supported version is TLS 1.2");
        var protocols = SslProtocols.None;
        if (least != TlsParameters.Types.TlsProtocol.Tlsv13) protocols |= SslProtocols.Tls12;
        if (most is TlsParameters.Types.TlsProtocol.TlsAuto or TlsParameters.Types.TlsProtocol.Tlsv13) protocols |= SslProtocols.Tls13;
        return protocols == SslProtocols.None ? throw new ResourceException("tls_maximum_protocol_version is below tls_minimum_protocol_version") : protocols;
    }
}
