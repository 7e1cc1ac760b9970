using System.Security.Authentication;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Snapshot;

/// <summary>A TLS context of either side. Certificates and roots are named here and come from the secret source.</summary>
/// <param name="Certificate">Name of the secret with the certificate and key; empty when none is shown.</param>
/// <param name="Root">Name of the secret with the roots; empty when the peer is not checked against any.</param>
/// <param name="Peers">The peer's certificate must have one of these names; empty: any.</param>
/// <param name="RequirePeer">Server side: a client without a certificate is refused.</param>
/// <param name="Sni">Client side: the server name sent.</param>
internal sealed record TlsSettings(
    string Certificate, string Root, IReadOnlyList<TextMatch> Peers, ValueList<string> Alpn, bool RequirePeer, string Sni, SslProtocols Protocols)
{
    public IEnumerable<string> Secrets => new[] { Certificate, Root }.Where(s => s.Length > 0);

    public static TlsSettings From(DownstreamTlsContext context) =>
        Common(context.CommonTlsContext ?? new(), "") with { RequirePeer = context.RequireClientCertificate ?? false };

    public static TlsSettings From(UpstreamTlsContext context) => Common(context.CommonTlsContext ?? new(), context.Sni);

    /// <summary>Reads a transport socket; null means plain bytes.</summary>
    /// <exception cref="ResourceException">An unknown kind of transport socket: treating it as plain text could leak data.</exception>
    public static TlsSettings? From(TransportSocket? socket, bool downstream)
    {
        if (socket is null) return null;
        var config = socket.TypedConfig ?? new Any();
        if (socket.Name == "envoy.transport_sockets.raw_buffer" || config.TypeUrl.EndsWith(".RawBuffer", StringComparison.Ordinal)) return null;
        if (downstream && config.TryUnpack(out DownstreamTlsContext server)) return From(server);
        if (!downstream && config.TryUnpack(out UpstreamTlsContext client)) return From(client);
        throw new ResourceException($"transport socket '{socket.Name}' with {config.TypeUrl} is not supported");
    }

    private static TlsSettings Common(CommonTlsContext common, string sni)
    {
        var validation = common.ValidationContextTypeCase switch
        {
            CommonTlsContext.ValidationContextTypeOneofCase.CombinedValidationContext => common.CombinedValidationContext.DefaultValidationContext,
            CommonTlsContext.ValidationContextTypeOneofCase.ValidationContext => common.ValidationContext,
            _ => null,
        };
        var root = common.ValidationContextTypeCase switch
        {
            CommonTlsContext.ValidationContextTypeOneofCase.CombinedValidationContext =>
                common.CombinedValidationContext.ValidationContextSdsSecretConfig?.Name ?? "",
            CommonTlsContext.ValidationContextTypeOneofCase.ValidationContextSdsSecretConfig => common.ValidationContextSdsSecretConfig.Name,
            _ => FileRoot(validation),
        };
        if (common.TlsCertificates.Count > 0 && common.TlsCertificates[0].CertificateChain?.Filename is not { Length: > 0 })
            throw new ResourceException("inline TLS certificates are not supported: name a secret or files");
        var certificate = common.TlsCertificateSdsSecretConfigs.Count > 0 ? common.TlsCertificateSdsSecretConfigs[0].Name
            : common.TlsCertificates.Count > 0 ? $"file-cert:{common.TlsCertificates[0].CertificateChain.Filename}~{common.TlsCertificates[0].PrivateKey?.Filename}"
            : "";
        var peers = new List<TextMatch>();
        if (validation is not null)
        {
            peers.AddRange(validation.MatchSubjectAltNames.Select(TextMatch.From));
            peers.AddRange(validation.MatchTypedSubjectAltNames.Select(m => TextMatch.From(m.Matcher)));
        }
        return new(certificate, root, peers, common.AlpnProtocols.ToValueList(), false, sni, Versions(common.TlsParams));
    }

    private static string FileRoot(CertificateValidationContext? validation)
    {
        if (validation?.TrustedCa is not { } ca) return "";
        return ca.Filename.Length > 0 ? $"file-root:{ca.Filename}" : throw new ResourceException("an inline trusted_ca is not supported: name a secret or a file");
    }

    // TLS 1.2 is the minimum, whatever a resource asks for.
    private static SslProtocols Versions(TlsParameters? parameters)
    {
        var least = parameters?.TlsMinimumProtocolVersion ?? TlsParameters.Types.TlsProtocol.TlsAuto;
        var most = parameters?.TlsMaximumProtocolVersion ?? TlsParameters.Types.TlsProtocol.TlsAuto;
        var protocols = SslProtocols.None;
        if (least != TlsParameters.Types.TlsProtocol.Tlsv13) protocols |= SslProtocols.Tls12;
        if (most is TlsParameters.Types.TlsProtocol.TlsAuto or TlsParameters.Types.TlsProtocol.Tlsv13) protocols |= SslProtocols.Tls13;
        return protocols;
    }
}
