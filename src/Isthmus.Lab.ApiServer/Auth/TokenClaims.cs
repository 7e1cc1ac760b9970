using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>An object that a token is bound to: when the object is deleted, the token becomes invalid.</summary>
internal sealed record BoundObject(string Name, string Uid)
{
    public JsonObject ToJson() => new() { ["name"] = Name, ["uid"] = Uid };

    public static BoundObject? FromJson(JsonNode? node) =>
        node is JsonObject o && Json.Text(o["name"]) is { Length: > 0 } name ? new(name, Json.Text(o["uid"])) : null;
}

/// <summary>The claims of a service account token. Times are seconds since 1970.</summary>
internal sealed record TokenClaims(
    string Issuer, ValueList<string> Audiences, string Namespace, BoundObject Account,
    BoundObject? Pod, BoundObject? Secret, BoundObject? Node, long IssuedAt, long NotBefore, long Expires, string Id)
{
    /// <summary>Tokens of Secrets, as before 1.24: without audience and expiry.</summary>
    public const string LegacyIssuer = "kubernetes/serviceaccount";

    private const string LegacyPrefix = "kubernetes.io/serviceaccount/";

    public bool IsLegacy => Issuer == LegacyIssuer;

    public string Subject => $"system:serviceaccount:{Namespace}:{Account.Name}";

    public JsonObject ToJson() => IsLegacy ? LegacyJson() : BoundJson();

    /// <summary>Null when claims that every token has are missing or of the wrong type.</summary>
    public static TokenClaims? FromJson(JsonObject claims)
    {
        var issuer = Json.Text(claims["iss"]);
        var read = issuer == LegacyIssuer ? FromLegacy(claims) : FromBound(claims, issuer);
        return read is { Namespace.Length: > 0, Account.Name.Length: > 0 } && Json.Text(claims["sub"]) == read.Subject ? read : null;
    }

    private JsonObject BoundJson()
    {
        var bound = new JsonObject { ["namespace"] = Namespace };
        if (Node is not null) bound["node"] = Node.ToJson();
        if (Pod is not null) bound["pod"] = Pod.ToJson();
        if (Secret is not null) bound["secret"] = Secret.ToJson();
        bound["serviceaccount"] = Account.ToJson();
        return new()
        {
            ["aud"] = new JsonArray([.. Audiences.Select(audience => (JsonNode)audience)]),
            ["exp"] = Expires,
            ["iat"] = IssuedAt,
            ["iss"] = Issuer,
            ["jti"] = Id,
            ["kubernetes.io"] = bound,
            ["nbf"] = NotBefore,
            ["sub"] = Subject,
        };
    }

    private JsonObject LegacyJson() => new()
    {
        ["iss"] = Issuer,
        [LegacyPrefix + "namespace"] = Namespace,
        [LegacyPrefix + "secret.name"] = Secret?.Name,
        [LegacyPrefix + "service-account.name"] = Account.Name,
        [LegacyPrefix + "service-account.uid"] = Account.Uid,
        ["sub"] = Subject,
    };

    private static TokenClaims? FromBound(JsonObject claims, string issuer)
    {
        if (claims["kubernetes.io"] is not JsonObject bound || BoundObject.FromJson(bound["serviceaccount"]) is not { } account)
            return null;
        var audiences = claims["aud"] switch
        {
            JsonArray many => many.Select(Json.Text).Where(audience => audience.Length > 0).ToValueList(),
            var one => Json.Text(one) is { Length: > 0 } audience ? [audience] : ValueList<string>.Empty,
        };
        return new(issuer, audiences, Json.Text(bound["namespace"]), account,
            BoundObject.FromJson(bound["pod"]), BoundObject.FromJson(bound["secret"]), BoundObject.FromJson(bound["node"]),
            Json.Whole(claims["iat"]) ?? 0, Json.Whole(claims["nbf"]) ?? 0, Json.Whole(claims["exp"]) ?? 0, Json.Text(claims["jti"]));
    }

    private static TokenClaims FromLegacy(JsonObject claims) => new(
        LegacyIssuer, [], Json.Text(claims[LegacyPrefix + "namespace"]),
        new(Json.Text(claims[LegacyPrefix + "service-account.name"]), Json.Text(claims[LegacyPrefix + "service-account.uid"])),
        null, new(Json.Text(claims[LegacyPrefix + "secret.name"]), ""), null, 0, 0, 0, "");
}
