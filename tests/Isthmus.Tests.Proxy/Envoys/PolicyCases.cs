using System.Security.Cryptography;
using System.Text;
using Packed = System.Buffers.Text.Base64Url;

namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>Requests that policies allow, refuse or change.</summary>
internal static class PolicyCases
{
    private const string Get = "GET / HTTP/1.1|host: a||";

    internal static IReadOnlyList<ProxyCase> All { get; } =
    [
        new("timeout", "timeout", Get, ""),
        new("idle", "idle", Get, ""),
        new("retries until it works", "retry", Get, "HTTP/1.1 500 No|content-length: 0||[next]HTTP/1.1 503 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("retries used up", "retry", Get, "HTTP/1.1 500 No|content-length: 0||"),
        new("retry with a body", "retry", "POST / HTTP/1.1|host: a|content-length: 3||abc", "HTTP/1.1 500 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("retry after a reset", "retry-reset", Get, "[reset][next]" + ProxyCase.Ok),
        new("retry after a close", "retry-reset", Get, "[close][next]" + ProxyCase.Ok),
        new("retry of a bad answer", "retry", Get, "nonsense||[close][next]" + ProxyCase.Ok),
        new("retry not of 404", "retry", Get, "HTTP/1.1 404 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("retry of a code", "retry-codes", Get, "HTTP/1.1 418 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("retry not of another code", "retry-codes", Get, "HTTP/1.1 500 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("retry of 502", "retry-gateway", Get, "HTTP/1.1 502 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("retry of 409", "retry-4xx", Get, "HTTP/1.1 409 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("retry of nobody", "retry-refused", Get),
        new("retry of a status of gRPC", "retry-grpc", "GET / HTTP/1.1|host: a|content-type: application/grpc||",
            "HTTP/1.1 200 OK|content-type: application/grpc|grpc-status: 14|content-length: 0||[next]HTTP/1.1 200 OK|grpc-status: 0|content-length: 0||"),
        new("retry after a time", "retry-each", Get, "[next]" + ProxyCase.Ok),
        new("retry refused by the breaker", "retry-none", Get, "HTTP/1.1 500 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("retry asked for", "plain", "GET / HTTP/1.1|host: a|x-envoy-retry-on: 5xx|x-envoy-max-retries: 1||", "HTTP/1.1 500 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("attempts counted", "attempts", Get, "HTTP/1.1 500 No|content-length: 0||[next]" + ProxyCase.Ok),
        new("no requests", "no-requests", Get),
        new("no requests of HTTP/2", "no-requests", "h2 :method GET|:scheme http|:path /|:authority a"),
        new("no pending requests", "no-pending", Get),
        new("fault", "abort", Get),
        new("fault of gRPC", "abort-grpc", "h2 :method POST|:scheme http|:path /s/m|:authority a|content-type application/grpc"),
        new("fault of gRPC for others", "abort-grpc", Get),
        new("fault delay", "delay", Get),
        new("fault for some", "abort-some", "GET / HTTP/1.1|host: a|x-break: y||"),
        new("fault not for others", "abort-some", Get),
        new("allow nothing", "nobody", Get),
        new("allow exact", "allow", "GET /exact?x HTTP/1.1|host: a||"),
        new("allow exact not below", "allow", "GET /exact/x HTTP/1.1|host: a||"),
        new("allow prefix", "allow", "GET /prefix/x HTTP/1.1|host: a||"),
        new("allow prefix escaped", "allow", "GET /pre%66ix/x HTTP/1.1|host: a||"),
        new("allow suffix", "allow", "GET /x/suffix?a HTTP/1.1|host: a||"),
        new("allow method", "allow", "PUT / HTTP/1.1|host: a|content-length: 0||"),
        new("allow header", "allow", "GET / HTTP/1.1|host: a|x-role: administrator||"),
        new("allow header twice", "allow", "GET / HTTP/1.1|host: a|x-role: x|x-role: admin||"),
        new("allow header twice, first", "allow", "GET / HTTP/1.1|host: a|x-role: admin|x-role: x||"),
        new("allow host", "allow", "GET / HTTP/1.1|host: ALLOWED.EXAMPLE||"),
        new("allow host with a port", "allow", "GET / HTTP/1.1|host: allowed.example:80||"),
        new("allow for HTTP/2", "allow", "h2 :method GET|:scheme http|:path /no|:authority a"),
        new("allow for gRPC", "allow", "h2 :method POST|:scheme http|:path /no|:authority a|content-type application/grpc"),
        new("deny path", "deny", "GET /secret/x HTTP/1.1|host: a||"),
        new("deny path with dots", "deny", "GET /x/../secret HTTP/1.1|host: a||"),
        new("deny path with slashes", "deny", "GET //secret HTTP/1.1|host: a||"),
        new("deny path in capitals", "deny", "GET /SECRET HTTP/1.1|host: a||"),
        new("deny header", "deny", "GET / HTTP/1.1|host: a|x-bad:||"),
        new("deny method", "deny", "DELETE / HTTP/1.1|host: a||"),
        new("deny none", "deny", Get),
        new("template", "template", "GET /a/x/b/c/d HTTP/1.1|host: a||"),
        new("template with a query", "template", "GET /a/x/b/c?d HTTP/1.1|host: a||"),
        new("template with two parts for one", "template", "GET /a/x/y/b/c HTTP/1.1|host: a||"),
        new("template with nothing for one", "template", "GET /a//b/c HTTP/1.1|host: a||"),
        new("template with nothing last", "template", "GET /a/x/b/ HTTP/1.1|host: a||"),
        new("peer", "peer", Get),
        new("peer other", "other-peer", Get),
        new("remote address", "remote-ip", "GET / HTTP/1.1|host: a|x-forwarded-for: 10.1.2.3||"),
        new("remote address of a stranger", "remote-ip", "GET / HTTP/1.1|host: a|x-forwarded-for: 10.2.2.3||"),
        new("remote address behind another", "remote-ip", "GET / HTTP/1.1|host: a|x-forwarded-for: 10.1.2.3, 10.2.2.3||"),
        new("token none", "jwt", Get),
        Token("token good", "jwt", """{"iss":"bank","aud":"money","sub":"ann"}"""),
        Token("token of another", "jwt", """{"iss":"other","aud":"money"}"""),
        Token("token for another", "jwt", """{"iss":"bank","aud":"stamps"}"""),
        Token("token for nobody", "jwt", """{"iss":"bank"}"""),
        Token("token expired", "jwt", """{"iss":"bank","aud":"money","exp":1000}"""),
        Token("token not yet", "jwt", """{"iss":"bank","aud":"money","nbf":99999999999}"""),
        Token("token for many", "jwt", """{"iss":"bank","aud":["x","money"]}"""),
        Token("token with a bad signature", "jwt", """{"iss":"bank","aud":"money"}""", "x"),
        new("token of nonsense", "jwt", "GET / HTTP/1.1|host: a|authorization: Bearer a.b.c||"),
        new("token of another scheme", "jwt", "GET / HTTP/1.1|host: a|authorization: Basic YTpi||"),
        new("token in the query", "jwt", "GET /?access_token=a.b.c HTTP/1.1|host: a||"),
        new("tokens, two in one field", "jwt", $"GET / HTTP/1.1|host: a|authorization: Bearer {Good}, Bearer {Good}||"),
        new("tokens, two fields", "jwt", $"GET / HTTP/1.1|host: a|authorization: Bearer {Good}|authorization: Bearer {Good}||"),
        Token("claims of a teller", "claims", """{"iss":"bank","aud":"money","group":"tellers"}"""),
        Token("claims of a cleaner", "claims", """{"iss":"bank","aud":"money","group":"cleaners"}"""),
        new("claims of nobody", "claims", Get),
        new("preflight", "cors", "OPTIONS / HTTP/1.1|host: a|origin: https://a.example|access-control-request-method: PUT||"),
        new("preflight of a stranger", "cors", "OPTIONS / HTTP/1.1|host: a|origin: https://b.example|access-control-request-method: PUT||"),
        new("preflight without a method", "cors", "OPTIONS / HTTP/1.1|host: a|origin: https://a.example||"),
        new("origin", "cors", "GET / HTTP/1.1|host: a|origin: https://a.example||"),
        new("origin of a stranger", "cors", "GET / HTTP/1.1|host: a|origin: https://b.example||"),
        new("not limited yet", "limited", Get),
        new("limited", "limited", Get),
        new("limited for gRPC", "limited", "h2 :method POST|:scheme http|:path /s/m|:authority a|content-type application/grpc"),
        .. new (string, string)[]
        {
            ("exact", "/exact"), ("exact with a query", "/exact?x"), ("exact not below", "/exact/"), ("regex", "/re/12"), ("regex not longer", "/re/12x"),
            ("regex with a query", "/re/1?2"), ("dir", "/dir"), ("dir below", "/dir/x"), ("dir not longer", "/dirx"), ("query", "/query?x&a=b"),
            ("query not other", "/query?a=c"), ("query escaped", "/query?a=%62"), ("not", "/not"), ("case", "/case/x"), ("grpc not", "/grpc"),
            ("empty", "/empty"), ("host", "/r/host?x"), ("https", "/r/https/y"), ("port", "/r/port"), ("path", "/r/path?z"), ("prefix", "/r/prefix/a?b"),
            ("of a regex", "/r/regex/a?b"), ("nothing", "/none"),
        }.Select(pair => new ProxyCase($"route {pair.Item1}", "routes", $"GET {pair.Item2} HTTP/1.1|host: a.example:8080||")),
        new("route head", "routes", "GET /head HTTP/1.1|host: a|x-a: amidb||"),
        new("route head twice", "routes", "GET /head HTTP/1.1|host: a|x-a: am|x-a: id||"),
        new("route range", "routes", "GET /range HTTP/1.1|host: a|x-a: 4||"),
        new("route range not beyond", "routes", "GET /range HTTP/1.1|host: a|x-a: 5||"),
        new("route of HEAD", "routes", "HEAD /exact HTTP/1.1|host: a||"),
        new("rewrite of a prefix", "rewrites", "GET /p/x?y HTTP/1.1|host: a||"),
        new("rewrite of a regex", "rewrites", "GET /re/a/b/c?d HTTP/1.1|host: a||"),
        new("rewrite of a host", "rewrites", "GET /host HTTP/1.1|host: a||"),
        new("rewrite by a header", "rewrites", "GET /by-header HTTP/1.1|host: a|x-host: c.example||"),
        new("rewrite by no header", "rewrites", "GET /by-header HTTP/1.1|host: a||"),
        new("rewrite that tells the host", "rewrites", "GET /x-host HTTP/1.1|host: a||"),
        new("edits", "edits", "GET / HTTP/1.1|host: a|x-add: 0|x-set: 0|x-gone: 0||", "HTTP/1.1 201 OK|x-b: 1|x-secret: s|content-length: 0||"),
        .. ((string[])["host", "route", "off", "direct", "none", "share", "opened", "closed"]).Select(path => new ProxyCase($"mutations {path}", "mutations",
            $"GET /{path} HTTP/1.1|host: a|x-gone: 0|x-b: 0|x-c: 0|x-d: 0||", "HTTP/1.1 200 OK|x-secret: s|x-b: 1|content-length: 0||")),
        new("mutations of a refusal", "mutations", "GET /host HTTP/1.1|host: a|x-bad: 1||"),
        new("mutations of a bad request", "mutations", "GET /host HTTP/1.1|host: a b||"),
        .. new[]
        {
            ("none", ""), ("others", "cdn-loop: a, [::1]:8;x=1 ,shop|"), ("once", "cdn-loop: shop:80|"),
            ("twice", "cdn-loop: shop:80|cdn-loop: b;c=d , shop:80;e=f|"),
            ("with parameters", "cdn-loop: a; b=\"c, shop:80, \\\" shop:80\"; d=e,, shop:80|"), ("nothing but commas", "cdn-loop: , ,|"),
            ("empty", "cdn-loop: |"),
            ("of two words", "cdn-loop: a b|"), ("of a parameter without a value", "cdn-loop: a;b|"), ("of an empty parameter", "cdn-loop: a;b=|"),
            ("of an open quotation", "cdn-loop: a;b=\"c|"), ("of a path", "cdn-loop: a/b|"),
            ("of an open bracket", "cdn-loop: [::1|"), ("of a port alone", "cdn-loop: :80|"),
            ("of a semicolon", "cdn-loop: a;|"), ("of a colon", "cdn-loop: a:|"), ("of another case", "cdn-loop: SHOP:80, Shop:80|"),
        }.Select(pair => new ProxyCase($"loops {pair.Item1}", "loops", $"GET / HTTP/1.1|host: a|{pair.Item2}|")),
        new("mutations by levels", "mutations-specific", Get),
        new("mutations by levels of a share", "mutations-specific", Get.Replace("GET /", "GET /share", StringComparison.Ordinal)),
        .. ((string[])["closed", "open", "broken", "otherwise", "weighted"])
            .Select(path => new ProxyCase($"switch {path}", "switches", $"GET /{path} HTTP/1.1|host: a||")),
        .. ((string[])["open", "token"])
            .Select(path => new ProxyCase($"switch {path} with a token", "switches", $"GET /{path} HTTP/1.1|host: a|authorization: Bearer none||")),
        .. ((string[])["later-open", "later-closed", "first-share", "later-share"]).Select(path => new ProxyCase($"switch {path}", "switches",
            $"GET /{path} HTTP/1.1|host: a|authorization: Bearer {Sign("""{"iss":"bank","aud":"money","sub":"ann","group":"tellers"}""")}||")),
        .. ((string[])["asked", "off", "not", "on", "settings", "other"])
            .Select(path => new ProxyCase($"authorizer {path}", "asks", $"GET /{path} HTTP/1.1|host: a||")),
        new("edits of what is there", "edits", "GET / HTTP/1.1|host: a|x-absent: 0|x-exists: 0||"),
    ];

    private static string Good => Sign("""{"iss":"bank","aud":"money","sub":"ann"}""");

    private static ProxyCase Token(string name, string setting, string claims, string more = "") =>
        new(name, setting, $"GET / HTTP/1.1|host: a|authorization: Bearer {Sign(claims)}{more}||");

    /// <summary>The same bytes for the same claims, as the expected outcomes name them.</summary>
    private static string Sign(string claims)
    {
        var text = $"{Part("""{"alg":"HS256","kid":"o"}""")}.{Part(claims)}";
        var signature = HMACSHA256.HashData("secret-secret-secret-secret-secret"u8, Encoding.ASCII.GetBytes(text));
        return $"{text}.{Packed.EncodeToString(signature)}";
    }

    private static string Part(string text) => Packed.EncodeToString(Encoding.UTF8.GetBytes(text));
}
