using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Identity;

/// <summary>The caller: the outcome of authentication, before authorization.</summary>
public sealed record UserIdentity(string Name, string Uid, ValueList<string> Groups, ValueMap<ValueList<string>> Extra)
{
    public static readonly UserIdentity Anonymous = new("system:anonymous", "", ["system:unauthenticated"], ValueMap<ValueList<string>>.Empty);

    /// <summary>The `UserInfo` of reviews.</summary>
    internal JsonObject ToJson()
    {
        var json = new JsonObject { ["username"] = Name };
        if (Uid.Length > 0) json["uid"] = Uid;
        if (!Groups.IsEmpty) json["groups"] = Json.Array(Groups);
        if (Extra.Count > 0) json["extra"] = new JsonObject(Extra.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)Json.Array(pair.Value))));
        return json;
    }
}

/// <summary>The attributes of a request, as authorization and admission see them.</summary>
/// <param name="Resource">Plural of the resource, empty for a non-resource path.</param>
/// <param name="Name">Name of the object; may be empty for create, list, watch and deletecollection.</param>
public sealed record RequestAttributes(
    UserIdentity User, string Verb, string Group, string Version, string Resource, string Subresource,
    string Namespace, string Name, string Path, bool IsResourceRequest)
{
    /// <summary>`pods/log`, or `pods` without a subresource.</summary>
    public string FullResource => Subresource.Length == 0 ? Resource : $"{Resource}/{Subresource}";
}

/// <summary>Authenticates callers.</summary>
public interface IAuthenticator
{
    /// <summary>
    /// Null means 401: credentials were sent and are not valid. Without credentials the answer is <see cref="UserIdentity.Anonymous"/>.
    /// </summary>
    ValueTask<UserIdentity?> AuthenticateAsync(HttpContext context, CancellationToken stop);
}

public readonly record struct AuthorizationDecision(bool Allowed, string Reason)
{
    public static AuthorizationDecision Allow(string reason = "") => new(true, reason);

    public static AuthorizationDecision Deny(string reason = "") => new(false, reason);
}

/// <summary>Decides whether a caller may do something. Pure and fast: it is called for every request.</summary>
public interface IAuthorizer
{
    AuthorizationDecision Authorize(RequestAttributes attributes);
}
