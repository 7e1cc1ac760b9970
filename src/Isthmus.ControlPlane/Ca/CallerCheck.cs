using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Settings;
using Isthmus.Core.Identity;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>A caller that has proven its identity.</summary>
/// <param name="Cluster">The cluster that confirmed its token; null for a certificate, which does not name its owner's cluster.</param>
public sealed record Caller(SpiffeId Identity, string? Cluster);

/// <summary>
/// Authenticates callers: by a SPIFFE certificate of this mesh, or by a service account token that the API server of the
/// named cluster confirms (TokenReview, audience <c>istio-ca</c>).
/// </summary>
/// <param name="clientOf">The client of a cluster by its ID; null when the cluster is unknown.</param>
public sealed partial class CallerCheck(Func<string, KubeClient?> clientOf, DiscoverySettings settings, Func<string> trustDomain, ILogger<CallerCheck> log)
{
    private const string AccountPrefix = "system:serviceaccount:";

    /// <summary>The caller. One who cannot prove an identity is <c>Unauthenticated</c>.</summary>
    public async Task<Caller> RequireAsync(GrpcCall call, CancellationToken stop)
    {
        // The TLS handshake has checked that the certificate chains to our root.
        if (call.ClientCertificate is { } certificate && SubjectNames.Of(certificate).Identity is { } proven) return new(proven, null);
        var (identity, why) = await ReviewAsync(call, stop);
        if (identity is not null) return new(identity, ReviewerOf(call));
        Refused(log, call.Peer?.ToString() ?? "", why);
        throw new GrpcException(GrpcCode.Unauthenticated, "request authenticate failure");
    }

    /// <summary>The cluster that a caller belongs to; null when nothing proves it. A caller with a certificate proves it with the token
    /// that it sends too, if that is for the same account.</summary>
    public async Task<string?> ClusterOfAsync(Caller caller, GrpcCall call, CancellationToken stop)
    {
        if (caller.Cluster is { } known) return known;
        var (identity, why) = await ReviewAsync(call, stop);
        if (identity is not null && identity.Namespace == caller.Identity.Namespace && identity.ServiceAccount == caller.Identity.ServiceAccount) return ReviewerOf(call);
        Refused(log, call.Peer?.ToString() ?? "", identity is null ? why : $"its certificate is for {caller.Identity}, but its token for {identity}");
        return null;
    }

    private string ReviewerOf(GrpcCall call) => call.Header("clusterid") is { Length: > 0 } named ? named : settings.ClusterId;

    private Task<(SpiffeId? Identity, string Why)> ReviewAsync(GrpcCall call, CancellationToken stop) =>
        ReviewAsync(Bearer(call.Header("authorization")), call.Header("clusterid") ?? "", stop);

    private async Task<(SpiffeId? Identity, string Why)> ReviewAsync(string? token, string clusterId, CancellationToken stop)
    {
        if (string.IsNullOrEmpty(token)) return (null, "the request has no bearer token");
        if (clientOf(clusterId) is not { } client)
            return (null, $"cluster '{clusterId}' is unknown here: its remote secret is missing, or the proxy's CLUSTER_ID differs from the secret's key");
        JsonObject review;
        try
        {
            review = await client.CreateAsync(Kinds.TokenReview, new JsonObject
            {
                ["apiVersion"] = "authentication.k8s.io/v1",
                ["kind"] = "TokenReview",
                ["spec"] = new JsonObject { ["token"] = token, ["audiences"] = new JsonArray([.. settings.TokenAudiences.Select(audience => (JsonNode)JsonValue.Create(audience)!)]) },
            }, stop);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return (null, $"the API server of cluster '{clusterId}' could not review the token: {e.Message}");
        }
        var status = review["status"];
        if (!((bool?)status?["authenticated"] ?? false)) return (null, $"cluster '{clusterId}' rejects the token: {status?["error"]}");
        var user = status?["user"]?["username"]?.ToString() ?? "";
        var groups = (status?["user"]?["groups"] as JsonArray ?? []).Select(group => group?.ToString());
        var parts = user.StartsWith(AccountPrefix, StringComparison.Ordinal) ? user[AccountPrefix.Length..].Split(':') : [];
        return parts is [{ Length: > 0 } ns, { Length: > 0 } account] && groups.Contains("system:serviceaccounts")
            ? (new SpiffeId(trustDomain(), ns, account), "")
            : (null, $"'{user}' is not a service account");
    }

    private static string? Bearer(string? header) =>
        header is not null && header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header["Bearer ".Length..].Trim() : null;

    [LoggerMessage(Level = LogLevel.Warning, Message = "Caller {Peer} refused: {Why}")]
    private static partial void Refused(ILogger log, string peer, string why);
}
