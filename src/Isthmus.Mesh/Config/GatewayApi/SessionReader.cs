using System.Security.Cryptography;
using System.Text;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads session persistence: as v1.7 of the API writes it (<c>cookie</c>, <c>header</c>), and as earlier versions do (<c>sessionName</c>,
/// <c>cookieConfig</c>).</summary>
internal static class SessionReader
{
    private const string Permanent = "Permanent";

    /// <param name="session">The field; what is wrong with it, or cannot be done, is an error of it.</param>
    /// <param name="owner">What a name is made of where none is given: different for each session.</param>
    /// <returns>Null: there is none.</returns>
    public static SessionPersistence? Read(Field session, string owner)
    {
        if (!session.Exists) return null;
        if (session["idleTimeout"].Exists) session["idleTimeout"].Error("proxies do not know when a session was last used", "remove it");
        var (absolute, name) = (session["absoluteTimeout"], session["sessionName"]);
        if (session["type"].Text == "Header")
        {
            if (session["header"]["name"] is { Exists: true } own) name = own;
            if (absolute.Exists) absolute.Error("a header has no lifetime: clients decide how long they repeat it", "remove it, or use a cookie");
            if (name.Text.Length > 0) HeadTexts.CheckName(name, name.Text);
            return new(name.Text.Length > 0 ? name.Text.ToLowerInvariant() : NameOf(owner), true, "", null);
        }
        var cookie = session["cookie"].Exists ? session["cookie"] : session["cookieConfig"];
        if (cookie["name"].Exists) name = cookie["name"];
        HeadTexts.CheckCookie(name, cookie["path"]);
        var isPermanent = cookie["lifetimeType"].Text == Permanent;
        if (absolute.Exists && !isPermanent)
            absolute.Error("proxies do not end a session whose cookie has no lifetime", $"set lifetimeType of the cookie to {Permanent}, or remove it");
        var lifetime = isPermanent ? absolute.Duration() : null;
        if (isPermanent && lifetime is not { TotalSeconds: >= 1 })
            session.Error($"a cookie of lifetimeType {Permanent} needs an absoluteTimeout of one second at least", "set absoluteTimeout");
        return new(name.Text.Length > 0 ? name.Text : NameOf(owner), false, cookie["path"].Text is { Length: > 0 } path ? path : "/", lifetime);
    }

    private static string NameOf(string owner) => $"session-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(owner)))[..12]}";
}
