using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Core.Identity;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>A caller that has proven its identity.</summary>
/// <param name="Cluster">The cluster that confirmed its token; null for a certificate, which does not name its owner's cluster.</param>
/// <param name="Pod">The Pod that the token is bound to; empty: unknown.</param>
/// <param name="Node">The Node of that Pod, as the token says; empty: older API servers do not say it.</param>
public sealed record Caller(SpiffeId Identity, string? Cluster, string Pod = "", string Node = "")
{
    /// <summary>The account that it has proven, in the cluster that confirmed it; the cluster is empty for a certificate alone.</summary>
    internal ProxyProof Proof => new(new(Cluster ?? "", Identity.Namespace, Identity.ServiceAccount), Pod);

    /// <summary>The same caller in the cluster that its token proves.</summary>
    internal Caller In(Caller proven) => this with { Cluster = proven.Cluster, Pod = proven.Pod, Node = proven.Node };
}

/// <summary>
/// Authenticates callers: by a SPIFFE certificate of this mesh, or by a service account token that the API server of the
/// named cluster confirms (TokenReview, audience <c>istio-ca</c>).
/// </summary>
/// <param name="clientOf">The client of a cluster by its ID; null when the cluster is unknown.</param>
public sealed partial class CallerCheck(Func<string, KubeClient?> clientOf, DiscoverySettings settings, Func<string> trustDomain, ILogger<CallerCheck> log)
{
    private const string AccountPrefix = "system:serviceaccount:";
    private const string PodExtra = "authentication.kubernetes.io/pod-name", NodeExtra = "authentication.kubernetes.io/node-name";

    /// <summary>The caller. One who cannot prove an identity is <c>Unauthenticated</c>.</summary>
    public async Task<Caller> RequireAsync(GrpcCall call, CancellationToken stop)
    {
        // The TLS handshake has checked that the certificate chains to our root.
        if (call.ClientCertificate is { } certificate && SubjectNames.Of(certificate).Identity is { } proven) return new(proven, null);
        var (caller, why) = await ReviewAsync(call, stop);
        if (caller is not null) return caller;
        Refused(log, call.Peer?.ToString() ?? "", why);
        throw new GrpcException(GrpcCode.Unauthenticated, "request authenticate failure");
    }

    /// <summary>The caller with the cluster that it belongs to; null when nothing proves it. A caller with a certificate proves it with the
    /// token that it sends too, if that is for the same account.</summary>
    public async Task<Caller?> WithClusterAsync(Caller caller, GrpcCall call, CancellationToken stop)
    {
        if (caller.Cluster is not null) return caller;
        if (call.Header("authorization") is null) return null;
        var (proven, why) = await ReviewAsync(call, stop);
        if (proven is not null && proven.Identity.Namespace == caller.Identity.Namespace && proven.Identity.ServiceAccount == caller.Identity.ServiceAccount)
            return caller.In(proven);
        Refused(log, call.Peer?.ToString() ?? "", proven is null ? why : $"its certificate is for {caller.Identity}, but its token for {proven.Identity}");
        return null;
    }

    private Task<(Caller? Caller, string Why)> ReviewAsync(GrpcCall call, CancellationToken stop) =>
        ReviewAsync(Bearer(call.Header("authorization")), call.Header("clusterid") is { Length: > 0 } named ? named : settings.ClusterId, stop);

    private async Task<(Caller? Caller, string Why)> ReviewAsync(string? token, string clusterId, CancellationToken stop)
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
                ["spec"] = new JsonObject
                {
                    ["token"] = token, ["audiences"] = new JsonArray([.. settings.TokenAudiences.Select(audience => (JsonNode)JsonValue.Create(audience)!)])
                },
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
            ? (new Caller(new SpiffeId(trustDomain(), ns, account), clusterId, Extra(PodExtra), Extra(NodeExtra)), "")
            : (null, $"'{user}' is not a service account");

        string Extra(string name) => (status?["user"]?["extra"]?[name] as JsonArray)?.FirstOrDefault()?.ToString() ?? "";
    }

    private static string? Bearer(string? header) =>
        header is not null && header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header["Bearer ".Length..].Trim() : null;

    [LoggerMessage(Level = LogLevel.Warning, Message = "Caller {Peer} refused: {Why}")]
    private static partial void Refused(ILogger log, string peer, string why);
}
