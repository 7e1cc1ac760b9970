using System.Security.Cryptography.X509Certificates;
using Isthmus.Graph.Metrics;
using Isthmus.Graph.Settings;
using Isthmus.Core.Identity;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Tls;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>
/// Istio's certificate service: signs the key of a request for the identity that the caller's credential proves, or for one of its node that a
/// trusted caller asks for. It ignores other names in the request.
/// </summary>
public sealed partial class CertificateEndpoint(CaState ca, CallerCheck callers, DiscoverySettings settings, TimeProvider time,
    ILogger<CertificateEndpoint> log)
{
    /// <summary>Tolerates clock differences between nodes.</summary>
    private static readonly TimeSpan Backdate = TimeSpan.FromMinutes(2);

    public static GrpcMethod<IstioCertificateRequest, IstioCertificateResponse> Method { get; } =
        new("istio.v1.auth.IstioCertificateService", "CreateCertificate", IstioCertificateRequest.Parser, IstioCertificateResponse.Parser);

    /// <summary>Counts requests and certificates.</summary>
    public ControlMetrics Metrics { get; init; } = new();

    /// <summary>Whether the owner of a certificate still exists; null: it is not checked.</summary>
    public AccountCheck? Accounts { get; init; }

    /// <summary>Who gets certificates for other workloads; null: nobody does.</summary>
    public NodeAccountCheck? NodeAccounts { get; init; }

    public void Map(IEndpointRouteBuilder endpoints) => endpoints.MapUnary(Method, SignAsync, LongestRequest);

    /// <summary>A request with a key of 4096 bits has less than 4 KiB.</summary>
    private const int LongestRequest = 64 << 10;

    private async Task<IstioCertificateResponse> SignAsync(GrpcCall call, IstioCertificateRequest request)
    {
        Metrics.Count("citadel_server_csr_count");
        var (caller, identity) = await RequireAsync(call, request);
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
        if (current.End <= now)
        {
            Metrics.Count("citadel_server_csr_sign_err_count");
            throw new GrpcException(GrpcCode.FailedPrecondition,
                $"the CA of {current.Source} expired at {current.End:u}: put a new one into the Secret "
                    + $"{WellKnown.CaCerts}{(ca.Problem is { } refused ? $" ({refused})" : "")}");
        }
        var end = current.End < now + lifetime ? current.End : now + lifetime;
        using var leaf = current.Bundle.Issuer.IssueLeaf(new(key, new([identity.ToString()], [], []), now - Backdate, end));
        var response = new IstioCertificateResponse();
        response.CertChain.Add(CertificateText.Write(leaf));
        if (current.ChainPem.Length > 0) response.CertChain.Add(current.ChainPem);
        response.CertChain.Add(current.RootsPem);
        if (identity == caller.Identity) Signed(log, identity, end);
        else SignedForOther(log, identity, end, caller.Identity, caller.Pod);
        Metrics.Count("citadel_server_success_cert_issuance_count");
        return response;
    }

    private async Task<(Caller Caller, SpiffeId Identity)> RequireAsync(GrpcCall call, IstioCertificateRequest request)
    {
        try
        {
            var caller = await callers.RequireAsync(call, call.Stop);
            // A certificate outlives its account. Only a token says that the account exists now.
            var placed = await callers.WithClusterAsync(caller, call, call.Stop);
            if (placed is null && Accounts is { } accounts) await accounts.RequireAsync(caller, call, call.Stop);
            caller = placed ?? caller;
            if (NodeAccountCheck.Asked(request) is not { } asked) return (caller, caller.Identity);
            return (caller, NodeAccounts is { } known ? known.Require(caller, asked) : throw NodeAccountCheck.Refusal("this CA trusts no node accounts"));
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
        var longest = settings.LongestCertificateLifetime ?? DiscoverySettings.LongestLifetime;
        if (seconds > longest.TotalSeconds)
            throw new GrpcException(GrpcCode.InvalidArgument,
                $"CSR signing error (requested TTL {seconds / 3600}h0m0s is greater than the max allowed TTL {(long)longest.TotalHours}h0m0s)");
        // The mesh decides how long a workload may outlive its account, not the workload.
        return settings.LongestCertificateLifetime is null && seconds > settings.DefaultCertificateLifetime.TotalSeconds
            ? settings.DefaultCertificateLifetime
            : TimeSpan.FromSeconds(seconds);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Signed a certificate for {Identity}, valid until {End:u}")]
    private static partial void Signed(ILogger log, SpiffeId identity, DateTimeOffset end);

    [LoggerMessage(Level = LogLevel.Information, Message = "Signed a certificate for {Identity}, valid until {End:u}, which Pod {Pod} of {Caller} serves")]
    private static partial void SignedForOther(ILogger log, SpiffeId identity, DateTimeOffset end, SpiffeId caller, string pod);
}
