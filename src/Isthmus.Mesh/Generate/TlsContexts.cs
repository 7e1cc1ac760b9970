using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Validation = Isthmus.Wire.Envoy.CertificateValidationContext;

namespace Isthmus.Mesh.Generate;

/// <summary>Upstream and downstream TLS: mesh TLS, and what rules and gateways configure.</summary>
internal static class TlsContexts
{
    public const string Tls = "envoy.transport_sockets.tls";
    public const string RawBuffer = "envoy.transport_sockets.raw_buffer";

    private const string SystemRoots = "system";

    /// <summary>The ALPNs that distinguish mesh TLS from the application's own TLS.</summary>
    public static readonly string[] MeshAlpns = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

    public static readonly string[] MeshHttpAlpns = ["istio-http/1.0", "istio-http/1.1", "istio-h2"];

    public static readonly string[] MeshTcpAlpns = ["istio-peer-exchange", "istio"];

    public static readonly string[] PlainHttpAlpns = ["http/1.1", "h2c"];

    private static readonly string[] Ciphers =
    [
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-GCM-SHA256",
    ];

    private static readonly TransportSocket RawSocket = new()
    {
        Name = RawBuffer,
        TypedConfig = Parts.Pack(new RawBuffer()),
    };

    public static TransportSocket Raw => RawSocket;

    /// <summary>Mesh TLS to a service: the proxy's certificate, the mesh's roots, and the accepted server identities.</summary>
    /// <param name="exchanges">The cluster has the filter that speaks <c>istio-peer-exchange</c>.</param>
    public static TransportSocket Mesh(string sni, IEnumerable<string> identities, bool http2, bool exchanges)
    {
        var context = new UpstreamTlsContext { CommonTlsContext = MeshCommon(identities.Select(Name), []), Sni = sni };
        context.CommonTlsContext.TlsParams = Between12And13(TlsLimits.None);
        context.CommonTlsContext.AlpnProtocols.AddRange(exchanges ? MeshTcpAlpns : MeshTcpAlpns[1..]);
        if (http2) context.CommonTlsContext.AlpnProtocols.Add("h2");
        return Socket(context);
    }

    /// <summary>
    /// TLS that a DestinationRule configures, other than mesh TLS. Without roots of its own, the rule's server must have a
    /// certificate that the system's roots trust.
    /// </summary>
    /// <param name="names">The names of which the server's certificate must have one; empty: those that the rule gives, or the
    /// name that the proxy connects to.</param>
    public static TransportSocket Client(ClientTls tls, IReadOnlyCollection<string> names, bool http2, MeshConfig mesh)
    {
        var common = new CommonTlsContext { TlsParams = Between12And13(mesh.TlsDefaults) };
        if (http2) common.AlpnProtocols.Add("h2");
        if (tls.Mode == ClientTlsMode.Mutual)
        {
            common.TlsCertificateSdsSecretConfigs.Add(tls.CredentialName.Length > 0
                ? Kubernetes(new(tls.CredentialName, ""))
                : new() { Name = $"file-cert:{tls.ClientCertificate}~{tls.PrivateKey}", SdsConfig = Parts.Agent });
        }
        var context = new UpstreamTlsContext { CommonTlsContext = common, Sni = tls.Sni };
        if (tls.InsecureSkipVerify)
        {
            // An empty context would look like forgotten roots: a proxy must be told to accept any certificate.
            common.ValidationContext = new() { TrustChainVerification = Validation.Types.TrustChainVerification.AcceptUntrusted };
            return Socket(context);
        }
        common.CombinedValidationContext = new()
        {
            DefaultValidationContext = ServerNames(tls, names),
            ValidationContextSdsSecretConfig = tls.CredentialName.Length > 0
                ? Kubernetes(new NamedCredential(tls.CredentialName, "").Ca)
                : new() { Name = $"file-root:{(tls.CaCertificates.Length > 0 ? tls.CaCertificates : SystemRoots)}", SdsConfig = Parts.Agent },
        };
        return Socket(context);
    }

    /// <summary>TLS that a BackendTLSPolicy demands.</summary>
    /// <param name="tls">What it says.</param>
    /// <param name="http2">The backend speaks HTTP/2.</param>
    /// <param name="credential">The name under which the caller gets its certificate; empty for none.</param>
    /// <param name="mesh">The settings.</param>
    public static TransportSocket Backend(BackendTls tls, bool http2, string credential, MeshConfig mesh)
    {
        var common = new CommonTlsContext { TlsParams = Between12And13(mesh.TlsDefaults) };
        if (http2) common.AlpnProtocols.Add("h2");
        if (credential.Length > 0) common.TlsCertificateSdsSecretConfigs.Add(ByName(credential));
        var names = new Validation();
        names.MatchTypedSubjectAltNames.AddRange(tls.Names.IsEmpty ? [Name(tls.ServerName, SubjectAltNameMatcher.Types.SanType.Dns)] : tls.Names.Select(Name));
        if (tls.Roots.Length > 0)
        {
            names.TrustedCa = new() { InlineString = tls.Roots };
            common.ValidationContext = names;
        }
        else common.CombinedValidationContext = new()
        {
            DefaultValidationContext = names, ValidationContextSdsSecretConfig = new() { Name = $"file-root:{SystemRoots}", SdsConfig = Parts.Agent }
        };
        return Socket(new UpstreamTlsContext { CommonTlsContext = common, Sni = tls.ServerName });
    }

    private static Validation ServerNames(ClientTls tls, IReadOnlyCollection<string> names)
    {
        var validation = new Validation();
        validation.MatchTypedSubjectAltNames.AddRange(names.Select(Name));
        if (names.Count == 0 && tls.Sni.Length > 0)
        {
            validation.MatchTypedSubjectAltNames.Add(Name(tls.Sni, SubjectAltNameMatcher.Types.SanType.Dns));
        }
        return validation;
    }

    /// <summary>Mesh TLS from a client: a certificate of one of our trust domains is required.</summary>
    /// <param name="exchanges">The filter chain has the filter that speaks <c>istio-peer-exchange</c>.</param>
    public static TransportSocket MeshServer(MeshConfig mesh, bool exchanges)
    {
        var context = new DownstreamTlsContext
        {
            CommonTlsContext = MeshCommon(OfMesh(mesh), exchanges ? [Wire.Tls.Alpn.IstioPeerExchange, "h2", "http/1.1"] : ["h2", "http/1.1"]),
            RequireClientCertificate = true
        };
        context.CommonTlsContext.TlsParams = Between12And13(mesh.MeshTls.CipherSuites.IsEmpty
            ? mesh.MeshTls with { CipherSuites = Ciphers.ToValueList() }
            : mesh.MeshTls);
        return Socket(context);
    }

    /// <summary>Of a tunnel, for who opens it. It is dialled by address, so any workload of the mesh may be at its end.</summary>
    public static TransportSocket TunnelClient(MeshConfig mesh) => Socket(new UpstreamTlsContext { CommonTlsContext = Tunnel(mesh) });

    /// <summary>Of a tunnel, for who ends it.</summary>
    public static TransportSocket TunnelServer(MeshConfig mesh) =>
        Socket(new DownstreamTlsContext { CommonTlsContext = Tunnel(mesh), RequireClientCertificate = true });

    private static CommonTlsContext Tunnel(MeshConfig mesh)
    {
        var common = MeshCommon(OfMesh(mesh), ["h2"]);
        common.TlsParams = Limits(TlsLimits.None with { Min = TlsVersion.Tls13, Max = TlsVersion.Tls13 });
        return common;
    }

    /// <summary>The identities of the mesh's trust domains.</summary>
    private static IEnumerable<SubjectAltNameMatcher> OfMesh(MeshConfig mesh) => mesh.TrustDomains.Select(domain => new SubjectAltNameMatcher
    {
        SanType = SubjectAltNameMatcher.Types.SanType.Uri, Matcher = new() { Prefix = $"spiffe://{domain}/" }
    });

    /// <summary>TLS that a gateway's server terminates.</summary>
    public static TransportSocket GatewayServer(ServerTls tls, MeshConfig mesh, bool http)
    {
        string[] alpn = http ? ["h2", "http/1.1"] : [];
        var context = new DownstreamTlsContext { RequireClientCertificate = tls.Mode is ServerTlsMode.Mutual or ServerTlsMode.IstioMutual };
        if (tls.Mode == ServerTlsMode.IstioMutual)
        {
            context.CommonTlsContext = MeshCommon([], alpn);
            context.CommonTlsContext.CombinedValidationContext.DefaultValidationContext = ClientChecks(tls);
            context.CommonTlsContext.TlsParams = Limits(tls.Limits.Over(mesh.MeshTls));
            return Socket(context);
        }
        var common = new CommonTlsContext { TlsParams = Limits(tls.Limits.Over(mesh.TlsDefaults)) };
        common.AlpnProtocols.AddRange(alpn);
        common.TlsCertificateSdsSecretConfigs.AddRange(tls.Credentials.IsEmpty
            ? tls.Files.Select(pair => new SdsSecretConfig { Name = $"file-cert:{pair.Certificate}~{pair.PrivateKey}", SdsConfig = Parts.Agent })
            : tls.Credentials.Select(credential => Kubernetes(credential)));
        if (tls.ChecksClients)
        {
            common.CombinedValidationContext = new()
            {
                DefaultValidationContext = ClientChecks(tls),
                ValidationContextSdsSecretConfig = !tls.ClientCas.IsEmpty ? ByName(NamedCredential.ResourceOf(tls.ClientCas))
                    : !tls.Credentials.IsEmpty ? Kubernetes(tls.Credentials[0].Ca)
                    : new() { Name = $"file-root:{tls.CaCertificates}", SdsConfig = Parts.Agent },
            };
        }
        context.CommonTlsContext = common;
        return Socket(context);
    }

    /// <summary>What the certificate of a gateway's client must be, besides signed by the right CA.</summary>
    private static Validation ClientChecks(ServerTls tls)
    {
        var checks = new Validation();
        checks.MatchTypedSubjectAltNames.AddRange(tls.SubjectAltNames.Select(Name));
        checks.VerifyCertificateSpki.AddRange(tls.KeyPins);
        checks.VerifyCertificateHash.AddRange(tls.CertificatePins);
        if (tls.AcceptsUntrusted) checks.TrustChainVerification = Validation.Types.TrustChainVerification.AcceptUntrusted;
        return checks;
    }

    /// <summary>A name that a certificate must have, of the type of its form: users write names without types.</summary>
    private static SubjectAltNameMatcher Name(string name) => Name(
        name,
        IPAddress.TryParse(name, out _)
            ? SubjectAltNameMatcher.Types.SanType.IpAddress
            : name.Contains(':', StringComparison.Ordinal)
            ? SubjectAltNameMatcher.Types.SanType.Uri
            : SubjectAltNameMatcher.Types.SanType.Dns);

    private static SubjectAltNameMatcher Name(string name, SubjectAltNameMatcher.Types.SanType type) =>
        new() { SanType = type, Matcher = new() { Exact = name } };

    private static CommonTlsContext MeshCommon(IEnumerable<SubjectAltNameMatcher> names, IEnumerable<string> alpn)
    {
        var expected = new Validation();
        expected.MatchTypedSubjectAltNames.AddRange(names);
        var common = new CommonTlsContext
        {
            TlsCertificateSdsSecretConfigs = { new SdsSecretConfig { Name = "default", SdsConfig = Parts.Agent } },
            CombinedValidationContext = new()
            {
                DefaultValidationContext = expected,
                ValidationContextSdsSecretConfig = new() { Name = "ROOTCA", SdsConfig = Parts.Agent },
            },
        };
        common.AlpnProtocols.AddRange(alpn);
        return common;
    }

    private static SdsSecretConfig Kubernetes(NamedCredential credential) => ByName(credential.Resource);

    private static SdsSecretConfig ByName(string name) => new() { Name = name, SdsConfig = Parts.Ads };

    private static TlsParameters Between12And13(TlsLimits limits) =>
        Limits(limits with { Min = limits.Min == TlsVersion.Auto ? TlsVersion.Tls12 : limits.Min, Max = TlsVersion.Tls13 })!;

    private static TlsParameters? Limits(TlsLimits limits)
    {
        var parameters = new TlsParameters { TlsMinimumProtocolVersion = Version(limits.Min), TlsMaximumProtocolVersion = Version(limits.Max) };
        parameters.CipherSuites.AddRange(limits.CipherSuites);
        return parameters.CalculateSize() == 0 ? null : parameters;
    }

    private static TlsParameters.Types.TlsProtocol Version(TlsVersion version) => version switch
    {
        TlsVersion.Tls12 => TlsParameters.Types.TlsProtocol.Tlsv12,
        TlsVersion.Tls13 => TlsParameters.Types.TlsProtocol.Tlsv13,
        _ => TlsParameters.Types.TlsProtocol.TlsAuto,
    };

    private static TransportSocket Socket(Google.Protobuf.IMessage context) => new() { Name = Tls, TypedConfig = Parts.Pack(context) };
}
