using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Samples.Http;

namespace Isthmus.Samples.HttpBin;

/// <summary>Credentials, cookies and caching.</summary>
internal static class Access
{
    internal static HttpReply Basic(HttpRequest request, string user, string password, bool hidden)
    {
        var wanted = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}"));
        if (request.Header("Authorization") == wanted) return Echo.Json(200, new JsonObject { ["authenticated"] = true, ["user"] = user });
        return hidden
            ? HttpReply.Text(404, "<title>404 Not Found</title>\n<h1>Not Found</h1>\n")
            : HttpReply.Text(401, "").With(new KeyValuePair<string, string>("WWW-Authenticate", "Basic realm=\"Fake Realm\""));
    }

    internal static HttpReply Bearer(HttpRequest request)
    {
        const string Prefix = "Bearer ";
        return request.Header("Authorization") is { } value && value.StartsWith(Prefix, StringComparison.Ordinal)
            ? Echo.Json(200, new JsonObject { ["authenticated"] = true, ["token"] = value[Prefix.Length..] })
            : HttpReply.Text(401, "").With(new KeyValuePair<string, string>("WWW-Authenticate", "Bearer"));
    }

    internal static HttpReply Cookies(HttpRequest request, string[] words)
    {
        var have = Sent(request);
        return words switch
        {
            [] => Echo.Json(200, new JsonObject { ["cookies"] = Echo.Pairs(have) }),
            ["set"] => SetAll(request.Query().Select(pair => $"{pair.Key}={pair.Value}; Path=/")),
            ["set", var name, var value] => SetAll([$"{name}={value}; Path=/"]),
            ["delete"] => SetAll(request.Query().Select(pair => $"{pair.Key}=; Expires=Thu, 01-Jan-1970 00:00:00 GMT; Max-Age=0; Path=/")),
            _ => HttpReply.Text(404, "<title>404 Not Found</title>\n<h1>Not Found</h1>\n"),
        };
    }

    internal static HttpReply Cache(HttpRequest request, TimeProvider time)
    {
        if (request.Header("If-Modified-Since") is not null || request.Header("If-None-Match") is not null) return new(304, default, null);
        var now = time.GetUtcNow();
        var tag = now.ToUnixTimeMilliseconds().ToString("x", CultureInfo.InvariantCulture);
        return Echo.Json(200, Echo.Describe(request, withBody: false))
            .With(new("Last-Modified", now.ToString("R", CultureInfo.InvariantCulture)), new("ETag", tag));
    }

    internal static HttpReply CacheFor(HttpRequest request, int seconds) =>
        Echo.Json(200, Echo.Describe(request, withBody: false)).With(new KeyValuePair<string, string>("Cache-Control", $"public, max-age={seconds}"));

    internal static HttpReply ETag(HttpRequest request, string tag)
    {
        var mark = new KeyValuePair<string, string>("ETag", tag);
        if (Matches(request.Header("If-None-Match"), tag)) return new HttpReply(304, default, null).With(mark);
        if (request.Header("If-Match") is { } match && !Matches(match, tag)) return HttpReply.Text(412, "");
        return Echo.Json(200, Echo.Describe(request, withBody: false)).With(mark);
    }

    private static bool Matches(string? header, string tag) =>
        header is not null && header.Split(',', StringSplitOptions.TrimEntries).Any(one => one == "*" || one.Trim('"') == tag);

    private static HttpReply SetAll(IEnumerable<string> cookies) => HttpReply.Text(302, "").With(
        [new("Location", "/cookies"), .. cookies.Select(cookie => new KeyValuePair<string, string>("Set-Cookie", cookie))]);

    private static IEnumerable<KeyValuePair<string, string>> Sent(HttpRequest request) =>
        from header in request.Headers
        where header.Key.Equals("Cookie", StringComparison.OrdinalIgnoreCase)
        from part in header.Value.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        let pair = part.Split('=', 2)
        select KeyValuePair.Create(pair[0], pair.Length > 1 ? pair[1] : "");
}
