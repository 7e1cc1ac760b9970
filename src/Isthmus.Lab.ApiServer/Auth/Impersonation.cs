using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>
/// The headers Impersonate-User, -Group, -Uid and -Extra-*: the caller acts as another user if it may <c>impersonate</c> each part.
/// </summary>
internal static class Impersonation
{
    private const string Prefix = "Impersonate-";
    private const string ExtraPrefix = "Impersonate-Extra-";
    private const string AccountPrefix = "system:serviceaccount:";

    /// <exception cref="ApiException">403 for a part that the caller may not impersonate; 400 for headers without a user.</exception>
    public static UserIdentity Apply(UserIdentity caller, IHeaderDictionary headers, IAuthorizer authorizer)
    {
        if (!headers.Keys.Any(key => key.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))) return caller;
        var name = headers["Impersonate-User"].ToString();
        if (name.Length == 0) throw ApiException.BadRequest("impersonation headers need Impersonate-User: who is to be impersonated");
        var groups = headers["Impersonate-Group"].OfType<string>().ToValueList();
        var uid = headers["Impersonate-Uid"].ToString();
        var extra = headers
            .Where(header => header.Key.StartsWith(ExtraPrefix, StringComparison.OrdinalIgnoreCase))
            .Select(header => KeyValuePair.Create(
                Uri.UnescapeDataString(header.Key[ExtraPrefix.Length..].ToLowerInvariant()), header.Value.OfType<string>().ToValueList()))
            .ToValueMap();

        var account = AccountOf(name);
        if (account is { } sa) Check(caller, authorizer, "", "serviceaccounts", "", sa.Namespace, sa.Name);
        else Check(caller, authorizer, "", "users", "", "", name);
        foreach (var group in groups) Check(caller, authorizer, "", "groups", "", "", group);
        if (uid.Length > 0) Check(caller, authorizer, Resources.AuthenticationGroup, "uids", "", "", uid);
        foreach (var (key, values) in extra)
            foreach (var value in values) Check(caller, authorizer, Resources.AuthenticationGroup, "userextras", key, "", value);

        if (groups.IsEmpty && account is { } held)
            groups = ["system:serviceaccounts", $"system:serviceaccounts:{held.Namespace}"];
        var implied = name == UserIdentity.Anonymous.Name ? "system:unauthenticated" : "system:authenticated";
        if (!groups.Contains(implied)) groups = [.. groups, implied];
        return new(name, uid, groups, extra);
    }

    private static (string Namespace, string Name)? AccountOf(string user)
    {
        if (!user.StartsWith(AccountPrefix, StringComparison.Ordinal)) return null;
        var parts = user[AccountPrefix.Length..].Split(':');
        return parts.Length == 2 && parts[0].Length > 0 && parts[1].Length > 0 ? (parts[0], parts[1]) : null;
    }

    private static void Check(
        UserIdentity caller, IAuthorizer authorizer, string group, string resource, string subresource, string ns, string name)
    {
        var asked = new RequestAttributes(caller, "impersonate", group, group.Length == 0 ? "" : "v1", resource, subresource, ns, name, "", true);
        if (authorizer.Authorize(asked).Allowed) return;
        var where = ns.Length == 0 ? "at the cluster scope" : $"in the namespace \"{ns}\"";
        throw ApiException.Forbidden(group, resource, name,
            $"User \"{caller.Name}\" cannot impersonate resource \"{asked.FullResource}\" in API group \"{group}\" {where}");
    }
}
