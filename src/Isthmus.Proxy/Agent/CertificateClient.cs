using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Identity;
using Isthmus.Core.Problems;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Agent;

/// <summary>A certificate as the CA issued it, with its key.</summary>
/// <param name="ChainPem">The leaf and its intermediates.</param>
/// <param name="RootPem">The root of trust, as the CA reports it.</param>
/// <param name="AuthorityEnd">When the first of its issuers expires: no certificate of theirs lasts longer.</param>
internal sealed record IssuedCertificate(string ChainPem, string KeyPem, string RootPem, DateTimeOffset NotAfter, DateTimeOffset AuthorityEnd)
{
    public bool EndsWithAuthority => NotAfter >= AuthorityEnd;

    public override string ToString() => $"certificate valid until {NotAfter:u}";
}

/// <summary>Asks the control plane's CA for a certificate; the key never leaves this process.</summary>
internal sealed class CertificateClient(AgentSettings settings, ControlPlaneDial dial, TimeProvider time)
{
    private static readonly GrpcMethod<IstioCertificateRequest, IstioCertificateResponse> Method = new(
        "istio.v1.auth.IstioCertificateService", "CreateCertificate", IstioCertificateRequest.Parser, IstioCertificateResponse.Parser);

    /// <param name="other">The workload that the certificate is for; null for that of this proxy.</param>
    /// <param name="stop">Ends the attempt.</param>
    /// <exception cref="GrpcException">The CA refused or could not be reached.</exception>
    /// <exception cref="ProblemException">The response is unusable.</exception>
    /// <exception cref="IOException">Token or roots cannot be read (yet).</exception>
    public async Task<IssuedCertificate> FetchAsync(SpiffeId? other, CancellationToken stop)
    {
        using var key = Keys.Create(settings.EllipticKeys ? KeyKind.EcP256 : KeyKind.Rsa2048);
        var request = new IstioCertificateRequest
        {
            Csr = SigningRequest.Create(key, other ?? settings.Identity),
            ValidityDuration = (long)settings.CertificateLifetime.TotalSeconds,
        };
        if (other is not null) request.Metadata = new() { Fields = { ["ImpersonatedIdentity"] = Value.ForString(other.ToString()) } };
        using var channel = dial.Open(settings.CertificateAuthority);
        var options = new GrpcCallOptions { Headers = await dial.HeadersAsync(stop).ConfigureAwait(false), Timeout = TimeSpan.FromSeconds(10) };
        var response = await channel.UnaryAsync(Method, request, options, stop).ConfigureAwait(false);
        if (response.CertChain.Count < 2)
            throw new ProblemException("CA", $"it answered with {response.CertChain.Count} certificates, a leaf and a root are needed");
        string[] chain = [.. response.CertChain.Take(response.CertChain.Count - 1).Select(WithLineFeed)];
        var root = WithLineFeed(response.CertChain[^1]);
        var certificates = CertificateText.Read(string.Concat(chain), "CA");
        if (!Keys.Match(certificates[0], key)) throw new ProblemException("CA", "it answered with a certificate for another key");
        // A CA that does not know the field answers with a certificate of the caller.
        if (other is not null && SubjectNames.Of(certificates[0]) is var names && names.Identity != other)
            throw new ProblemException("CA", $"it answered with a certificate for {string.Join(", ", names.Uris)} and not for {other}");
        if (TrustBundle.FromPem(root, "CA").Reject(certificates[0], certificates.Skip(1), CertificateUse.Any, time.GetUtcNow()) is { } reason)
            throw new ProblemException("CA", $"it answered with a certificate that does not lead to the root beside it: {reason}");
        // A root that signs leaves itself is not part of the chain.
        var issuers = certificates.Skip(1)
            .Concat(TrustBundle.FromPem(root, "CA").Roots.Where(trusted => trusted.SubjectName.RawData.AsSpan()
                .SequenceEqual(certificates[^1].IssuerName.RawData)));
        return new(string.Concat(chain), Keys.ToPem(key), root, certificates[0].NotAfter.ToUniversalTime(),
            issuers.Min(issuer => issuer.NotAfter.ToUniversalTime()));
    }

    private static string WithLineFeed(string pem) => pem.EndsWith('\n') ? pem : pem + "\n";
}
