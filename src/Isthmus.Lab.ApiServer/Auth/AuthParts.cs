using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>Authentication and authorization of one API server, put together.</summary>
internal sealed class AuthParts
{
    private readonly TokenSigner _signer;
    private readonly ApiServerSettings _settings;

    public AuthParts(ApiServerContext context, ClusterPki pki)
    {
        var (settings, store, time) = (context.Settings, context.Store, context.Time);
        _settings = settings;
        _signer = new(pki.ServiceAccountKey);
        var rbac = new RbacAuthorizer(store);
        var tokens = new TokenVerifier(_signer, store, settings, time);
        Authorizer = new NodeAuthorizer(rbac);
        Authenticator = new RequestAuthenticator(pki.Ca, tokens, Authorizer, settings, time);
        Escalation = new EscalationAdmission(rbac, Authorizer);
        Attest = new AttestAdmission(Authorizer);
        Aggregation = new RoleAggregation(store);
        Reviews =
        [
            new TokenReviewResource(tokens, settings),
            new SelfSubjectReviewResource(time),
            new TokenRequestResource(_signer, store, settings, time),
            new AccessReviewResource(AccessReviewResource.Subject, Authorizer),
            new AccessReviewResource(AccessReviewResource.Local, Authorizer),
            new AccessReviewResource(AccessReviewResource.Self, Authorizer),
            new RulesReviewResource(rbac),
        ];
    }

    public IAuthenticator Authenticator { get; }

    public IAuthorizer Authorizer { get; }

    public IAdmissionPlugin Escalation { get; }

    public IAdmissionPlugin Attest { get; }

    public IServerTask Aggregation { get; }

    public IReadOnlyList<IVirtualResource> Reviews { get; }

    /// <summary>How others check the tokens that are issued here: OpenID discovery and the public key.</summary>
    public IReadOnlyDictionary<string, (string MediaType, JsonObject Body)> Documents() => new Dictionary<string, (string, JsonObject)>
    {
        ["/.well-known/openid-configuration"] = ("application/json", OpenIdConfiguration()),
        ["/openid/v1/jwks"] = ("application/jwk-set+json", _signer.KeySet()),
    };

    private JsonObject OpenIdConfiguration() => new()
    {
        ["issuer"] = _settings.Issuer,
        ["jwks_uri"] = $"https://{_settings.Address}:{_settings.Port}/openid/v1/jwks",
        ["response_types_supported"] = new JsonArray("id_token"),
        ["subject_types_supported"] = new JsonArray("public"),
        ["id_token_signing_alg_values_supported"] = new JsonArray("ES256"),
    };
}
