using System.Security.Cryptography;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Auth;

/// <param name="User">Null when the token is not valid.</param>
/// <param name="Audiences">The requested audiences that the token has.</param>
/// <param name="Error">The text of a TokenReview.</param>
internal sealed record TokenVerdict(UserIdentity? User, ValueList<string> Audiences, string Error);

/// <summary>Checks a bearer token: signature, time, audience, and that account, Pod, Secret and Node that it names still exist.</summary>
internal sealed class TokenVerifier(TokenSigner signer, IObjectStore store, ApiServerSettings settings, TimeProvider time)
{
    private const string ExtraPrefix = "authentication.kubernetes.io/";
    private const string Invalidated = "service account token has been invalidated";

    // Clocks may differ a little; the same minute as Kubernetes.
    private const long LeewaySeconds = 60;

    /// <param name="audiences">Who the token may be for; the token must name one of them.</param>
    public TokenVerdict Verify(string token, ValueList<string> audiences)
    {
        var opened = signer.Open(token, settings.Issuer, TokenClaims.LegacyIssuer);
        if (opened.BadSignature) return Refused("square/go-jose: error in cryptographic primitive");
        if (opened.Claims is not { } claims) return new(null, [], "invalid bearer token");
        // Tokens of Secrets name no audience: they are for this server.
        var held = claims.Audiences.IsEmpty ? [settings.Issuer] : claims.Audiences;
        var shared = audiences.Where(held.Contains).ToValueList();
        if (shared.IsEmpty)
            return Refused($"token audiences {GoText.List(held)} is invalid for the target audiences {GoText.List(audiences)}");
        var problem = claims.IsLegacy ? LegacyProblem(claims, token) : TimeProblem(claims) ?? BoundProblem(claims);
        return problem is null ? new(User(claims), shared, "") : Refused(problem);
    }

    private static TokenVerdict Refused(string why) => new(null, [], $"[invalid bearer token, {why}]");

    private string? TimeProblem(TokenClaims claims)
    {
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        return now > claims.Expires + LeewaySeconds ? "service account token has expired"
            : now < claims.NotBefore - LeewaySeconds ? "service account token is not valid yet"
            : null;
    }

    private string? BoundProblem(TokenClaims claims)
    {
        if (AccountProblem(claims) is { } problem) return problem;
        if (claims.Secret is { } secret && !Lives(Resources.Secrets, claims.Namespace, secret)) return Invalidated;
        if (claims.Pod is { } pod) return Lives(Resources.Pods, claims.Namespace, pod) ? null : Invalidated;
        return claims.Node is { } node && !Lives(Resources.Nodes, "", node) ? Invalidated : null;
    }

    private string? LegacyProblem(TokenClaims claims, string token)
    {
        if (claims.Secret is not { } secret || store.Find(Resources.Secrets, claims.Namespace, secret.Name) is not { } stored)
            return "Token has been invalidated";
        var held = Json.Text(stored.Parse().At("data", "token"));
        var sent = Encoding.ASCII.GetBytes(Convert.ToBase64String(Encoding.ASCII.GetBytes(token)));
        return CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(held), sent)
            ? AccountProblem(claims)
            : "Token does not match server's copy";
    }

    private string? AccountProblem(TokenClaims claims)
    {
        if (store.Find(Resources.ServiceAccounts, claims.Namespace, claims.Account.Name) is not { } account)
            return $"serviceaccounts \"{claims.Account.Name}\" not found";
        return account.Uid == claims.Account.Uid ? null
            : $"service account UID ({claims.Account.Uid}) does not match claim ({account.Uid})";
    }

    private bool Lives(GroupResource resource, string ns, BoundObject bound)
    {
        if (store.Find(resource, ns, bound.Name) is not { } stored || stored.Uid != bound.Uid) return false;
        // The token of a Pod that should be gone by now is invalid, even if its object still exists.
        var deletion = stored.Parse().TextAt("metadata", "deletionTimestamp");
        return deletion.Length == 0 || !DateTimeOffset.TryParse(deletion, null, out var gone)
            || time.GetUtcNow() <= gone.AddSeconds(LeewaySeconds);
    }

    private static UserIdentity User(TokenClaims claims)
    {
        var extra = new List<KeyValuePair<string, ValueList<string>>>();
        Add("credential-id", claims.Id.Length > 0 ? $"JTI={claims.Id}" : null);
        Add("node-name", claims.Node?.Name);
        Add("node-uid", claims.Node?.Uid);
        Add("pod-name", claims.Pod?.Name);
        Add("pod-uid", claims.Pod?.Uid);
        return new(claims.Subject, claims.Account.Uid,
            ["system:serviceaccounts", $"system:serviceaccounts:{claims.Namespace}", "system:authenticated"], extra.ToValueMap());

        void Add(string key, string? value)
        {
            if (!string.IsNullOrEmpty(value)) extra.Add(KeyValuePair.Create<string, ValueList<string>>(ExtraPrefix + key, [value]));
        }
    }
}
