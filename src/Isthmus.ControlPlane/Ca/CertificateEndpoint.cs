using System.Security.Cryptography.X509Certificates;
using Isthmus.ControlPlane.Metrics;
using Isthmus.ControlPlane.Settings;
using Isthmus.Core.Identity;
using Isthmus.Core.Problems;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Tls;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>
/// Istio's certificate service: signs the key of a request for the identity that the caller's credential proves. It ignores
/// names in the request.
/// </summary>
public sealed partial class CertificateEndpoint(CaState ca, CallerCheck callers, DiscoverySettings settings, TimeProvider time, ILogger<CertificateEndpoint> log)
{
    /// <summary>Tolerates clock differences between nodes.</summary>
    private static readonly TimeSpan Backdate = TimeSpan.FromMinutes(2);

    public static GrpcMethod<IstioCertificateRequest, IstioCertificateResponse> Method { get; } =
        new("istio.v1.auth.IstioCertificateService", "CreateCertificate", IstioCertificateRequest.Parser, IstioCertificateResponse.Parser);

    /// <summary>Counts requests and certificates.</summary>
    public ControlMetrics Metrics { get; init; } = new();

    public void Map(IEndpointRouteBuilder endpoints) => endpoints.MapUnary(Method, SignAsync);

    private async Task<IstioCertificateResponse> SignAsync(GrpcCall call, IstioCertificateRequest request)
    {
        Metrics.Count("citadel_server_csr_count");
        var caller = (await RequireAsync(call)).Identity;
        if (ca.Current is not { } current)
        {
            Metrics.Count("citadel_server_csr_sign_err_count");
            throw new GrpcException(GrpcCode.Unavailable, ca.Problem is { } problem ? $"the CA is not usable: {problem}" : "the CA is not loaded yet");
        }
        var lifetime = Lifetime(request.ValidityDuration);
        PublicKey key;
        try { key = SigningRequest.Check(request.Csr); }
        catch (ProblemException e)
        {
            Metrics.Count("citadel_server_csr_parsing_err_count");
            throw new GrpcException(GrpcCode.InvalidArgument, $"CSR signing error ({e.Message})", e);
        }

        var now = time.GetUtcNow();
        var end = now + lifetime;
        // Every peer would silently reject a leaf that outlives its signer.
        var signerEnd = current.Bundle.Issuer.Certificate.NotAfter.ToUniversalTime();
        if (end > signerEnd) end = signerEnd;
        using var leaf = current.Bundle.Issuer.IssueLeaf(new(key, new([caller.ToString()], [], []), now - Backdate, end));
        var response = new IstioCertificateResponse();
        response.CertChain.Add(CertificateText.Write(leaf));
        if (current.ChainPem.Length > 0) response.CertChain.Add(current.ChainPem);
        response.CertChain.Add(current.RootsPem);
        Signed(log, caller, end);
        Metrics.Count("citadel_server_success_cert_issuance_count");
        return response;
    }

    private async Task<Caller> RequireAsync(GrpcCall call)
    {
        try
        {
            return await callers.RequireAsync(call, call.Stop);
        }
        catch (GrpcException)
        {
            Metrics.Count("citadel_server_authentication_failure_count");
            throw;
        }
    }

    private TimeSpan Lifetime(long seconds)
    {
        if (seconds <= 0) return settings.DefaultCertificateLifetime;
        if (seconds > settings.LongestCertificateLifetime.TotalSeconds)
            throw new GrpcException(GrpcCode.InvalidArgument,
                $"CSR signing error (requested TTL {seconds / 3600}h0m0s is greater than the max allowed TTL {(long)settings.LongestCertificateLifetime.TotalHours}h0m0s)");
        return TimeSpan.FromSeconds(seconds);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Signed a certificate for {Identity}, valid until {End:u}")]
    private static partial void Signed(ILogger log, SpiffeId identity, DateTimeOffset end);
}
