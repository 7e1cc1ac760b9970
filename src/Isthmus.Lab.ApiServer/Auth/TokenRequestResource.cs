using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary><c>serviceaccounts/NAME/token</c>: issues a token for an account, bound to a Pod, Secret or Node if asked.</summary>
internal sealed class TokenRequestResource(TokenSigner signer, IObjectStore store, ApiServerSettings settings, TimeProvider time) : IVirtualResource
{
    private const long DefaultSeconds = 3600;
    private const long MinSeconds = 600;
    private const long MaxSeconds = 1L << 32;

    public VirtualResourceDescriptor Descriptor { get; } = new(
        "", "v1", "serviceaccounts", "", "TokenRequest", "token", true, ["create"], Resources.AuthenticationGroup, "v1");

    public ValueTask<VirtualResponse> HandleAsync(VirtualRequest request, CancellationToken stop)
    {
        var (ns, name) = (request.Attributes.Namespace, request.Attributes.Name);
        var account = store.Find(Resources.ServiceAccounts, ns, name)
            ?? throw ApiException.NotFound(Resources.ServiceAccounts, name);
        CheckNames(request.Body, ns, name);
        var asked = request.Body?["spec"] as JsonObject;
        var seconds = Json.Whole(asked?["expirationSeconds"]) ?? DefaultSeconds;
        CheckSeconds(seconds);
        var audiences = Json.Texts(asked?["audiences"]);
        if (audiences.IsEmpty) audiences = [settings.Issuer];

        var now = time.GetUtcNow();
        var issued = now.ToUnixTimeSeconds();
        var claims = new TokenClaims(settings.Issuer, audiences, ns, new(name, account.Uid), null, null, null,
            issued, issued, issued + seconds, Guid.NewGuid().ToString());
        var reference = asked?["boundObjectRef"] as JsonObject;
        if (reference is not null) claims = Bind(claims, reference);
        var expires = DateTimeOffset.FromUnixTimeSeconds(claims.Expires);
        return new(Answer(claims, seconds, reference, now, expires));
    }

    private VirtualResponse Answer(TokenClaims claims, long seconds, JsonObject? reference, DateTimeOffset now, DateTimeOffset expires) => new(201, new()
    {
        ["kind"] = "TokenRequest",
        ["apiVersion"] = "authentication.k8s.io/v1",
        ["metadata"] = new JsonObject
        {
            ["name"] = claims.Account.Name,
            ["namespace"] = claims.Namespace,
            ["creationTimestamp"] = ApiTime.Seconds(now),
        },
        ["spec"] = new JsonObject
        {
            ["audiences"] = Json.Array(claims.Audiences),
            ["expirationSeconds"] = seconds,
            ["boundObjectRef"] = reference?.DeepClone(),
        },
        ["status"] = new JsonObject { ["token"] = signer.Sign(claims), ["expirationTimestamp"] = ApiTime.Seconds(expires) },
    });

    private TokenClaims Bind(TokenClaims claims, JsonObject reference)
    {
        var kind = Json.Text(reference["kind"]);
        var name = Json.Text(reference["name"]);
        switch (Json.Text(reference["apiVersion"]), kind)
        {
            case ("v1", "Pod"):
                var pod = Bound(Resources.Pods, claims.Namespace, kind, name, reference);
                var spec = pod.Parse()["spec"];
                if (spec.TextAt("serviceAccountName") != claims.Account.Name)
                    throw ApiException.BadRequest(
                        $"cannot bind token for serviceaccount \"{claims.Account.Name}\" to pod running with different serviceaccount name.");
                var nodeName = spec.TextAt("nodeName");
                var node = nodeName.Length == 0 ? null
                    : new BoundObject(nodeName, store.Find(Resources.Nodes, "", nodeName)?.Uid ?? "");
                return claims with { Pod = new(name, pod.Uid), Node = node };
            case ("v1", "Secret"):
                return claims with { Secret = new(name, Bound(Resources.Secrets, claims.Namespace, kind, name, reference).Uid) };
            case ("v1", "Node"):
                return claims with { Node = new(name, Bound(Resources.Nodes, "", kind, name, reference).Uid) };
            default:
                throw ApiException.BadRequest($"cannot bind token to object of type {Json.Text(reference["apiVersion"])}, Kind={kind}");
        }
    }

    private StoredObject Bound(GroupResource resource, string ns, string kind, string name, JsonObject reference)
    {
        var stored = store.Find(resource, ns, name) ?? throw ApiException.NotFound(resource, name);
        var uid = Json.Text(reference["uid"]);
        if (uid.Length == 0 || uid == stored.Uid) return stored;
        throw new ApiException(409, "Conflict",
            $"Operation cannot be fulfilled on {kind} \"{name}\": the UID in the bound object reference ({uid}) does not match the UID in record. The object "
                + $"might have been deleted and then recreated",
            new(Kind: kind, Name: name));
    }

    private static void CheckNames(JsonObject? body, string ns, string name)
    {
        var (sentName, sentNamespace) = (body.TextAt("metadata", "name"), body.TextAt("metadata", "namespace"));
        if (sentName.Length > 0 && sentName != name)
            throw ApiException.BadRequest($"metadata.name: Invalid value: \"{sentName}\": must match the service account name if specified");
        if (sentNamespace.Length > 0 && sentNamespace != ns)
            throw ApiException.BadRequest($"metadata.namespace: Invalid value: \"{sentNamespace}\": must match the service account namespace if specified");
    }

    private static void CheckSeconds(long seconds)
    {
        var problem = seconds < MinSeconds ? "may not specify a duration less than 10 minutes"
            : seconds > MaxSeconds ? "may not specify a duration larger than 2^32 seconds"
            : null;
        if (problem is not null)
            throw ApiException.Invalid(Resources.AuthenticationGroup, "TokenRequest", "", [FieldError.Invalid("spec.expirationSeconds", seconds, problem)]);
    }
}

/// <summary>
/// Mints the token that the controller of <c>kubernetes.io/service-account-token</c> Secrets puts into them: without end, gone with its
/// Secret.
/// </summary>
public static class SecretToken
{
    /// <param name="key">The cluster's token key, <c>pki/sa.key</c>.</param>
    public static string Mint(System.Security.Cryptography.ECDsa key, string ns, string account, string accountUid, string secret) =>
        new TokenSigner(key).Sign(new(TokenClaims.LegacyIssuer, [], ns, new(account, accountUid), null, new(secret, ""), null, 0, 0, 0, ""));
}
