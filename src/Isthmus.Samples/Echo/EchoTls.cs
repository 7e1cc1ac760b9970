using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Isthmus.Samples.Echo;

/// <summary>What an echo server says of a client's TLS connection.</summary>
internal sealed record TlsFacts(string Version, string ServerName, string Protocol, string CipherSuite, IReadOnlyList<string> PeerCertificates)
{
    /// <summary>Null without TLS.</summary>
    public static TlsFacts? Of(HttpContext http)
    {
        if (http.Features.Get<ITlsHandshakeFeature>() is not { } tls) return null;
        var alpn = http.Features.Get<ITlsApplicationProtocolFeature>()?.ApplicationProtocol ?? default;
        var certificate = http.Connection.ClientCertificate;
        return new(
            NameOf(tls.Protocol, "TLSv"), http.Features.Get<ISslStreamFeature>()?.SslStream.TargetHostName ?? tls.HostName,
            System.Text.Encoding.ASCII.GetString(alpn.Span), tls.NegotiatedCipherSuite?.ToString() ?? "",
            certificate is null ? [] : [certificate.ExportCertificatePem() + "\n"]);
    }

    public static string NameOf(SslProtocols version, string prefix) => version switch
    {
        SslProtocols.Tls13 => $"{prefix}1.3",
        SslProtocols.Tls12 => $"{prefix}1.2",
        _ => "",
    };

    public JsonObject ToJson()
    {
        var json = new JsonObject { ["version"] = Version };
        if (PeerCertificates.Count > 0) json["peerCertificates"] = new JsonArray([.. PeerCertificates.Select(pem => (JsonNode)pem)]);
        json["serverName"] = ServerName;
        if (Protocol.Length > 0) json["negotiatedProtocol"] = Protocol;
        json["cipherSuite"] = CipherSuite;
        return json;
    }
}

/// <summary>The certificates of echo servers.</summary>
internal static class EchoTls
{
    /// <summary>Null unless both files are named.</summary>
    /// <exception cref="ProblemException">They cannot be read.</exception>
    public static X509Certificate2? Read(string program, string? certificate, string? key)
    {
        if (certificate is not { Length: > 0 } || key is not { Length: > 0 }) return null;
        try
        {
            return X509Certificate2.CreateFromPemFile(certificate, key);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new ProblemException(program, $"cannot read the certificate {certificate} and its key {key}: {e.Message}",
                "mount a Secret of type kubernetes.io/tls there", e);
        }
    }

    /// <summary>A certificate for a server that comes without one.</summary>
    public static X509Certificate2 Make(DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=echo", key, HashAlgorithmName.SHA256);
        return request.CreateSelfSigned(now.AddDays(-1), now.AddYears(1));
    }

    /// <summary>Clients may have a certificate, and then it must be of the CA.</summary>
    /// <exception cref="ProblemException">The CA cannot be read.</exception>
    public static void CheckClients(HttpsConnectionAdapterOptions options, string program, string? authorities)
    {
        if (authorities is not { Length: > 0 }) return;
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPemFile(authorities);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new ProblemException(program, $"cannot read the CA certificates {authorities}: {e.Message}", "mount a ConfigMap with them there", e);
        }
        options.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
        options.ClientCertificateValidation = (certificate, _, _) =>
        {
            using var chain = new X509Chain();
            chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            chain.ChainPolicy.CustomTrustStore.AddRange(roots);
            chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            return chain.Build(certificate);
        };
    }
}
