using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>What routes change in requests and answers, at a Gateway and in the mesh.</summary>
public sealed class RouteChangeCaseTests
{
    private const string Changes = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Header-Set, value: set}], "
        + "add: [{name: X-Header-Add, value: one}, {name: X-Header-Append, value: two}], remove: [X-Header-Remove]} }",
        Headers = "(X-Header-Remove: val; X-Header-Append: given; X-Header-Set: given)",
        Mirrors = "{type: RequestMirror, requestMirror: {backendRef: {name: v2, port: 80} } }, "
            + "{type: RequestMirror, requestMirror: {backendRef: {name: v3, port: 80} } }",
        Changed = "x-header-add=one x-header-append=given,two x-header-set=set !x-header-remove";

    [Theory]
    [InlineData(Place.Gateway, false)]
    [InlineData(Place.Gateway, true)]
    [InlineData(Place.Mesh, false)]
    [InlineData(Place.Mesh, true)]
    public async Task Headers_of_requests_are_changed_by_a_rule_or_for_a_backend(Place place, bool forBackend)
    {
        string Rule(string path, string changes)
        {
            var filters = $"filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{{changes}}} }}]";
            return $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], "
                + $"{(forBackend ? $"backendRefs: [{{name: v1, port: 80, {filters}}}]" : $"{filters}, {V1}")} }}";
        }

        await using var calls = await OfRulesAsync(place, string.Join(", ",
            Rule("/set", "set: [{name: X-Header-Set, value: new}]"),
            Rule("/add", "add: [{name: X-Header-Add, value: more}]"),
            Rule("/remove", "remove: [X-Header-Remove]"),
            Rule("/multiple", "set: [{name: X-Set-1, value: s1}, {name: X-Set-2, value: s2}], add: [{name: X-Add-1, value: a1}, {name: X-Add-2, value: a2}, "
                + "{name: X-Add-3, value: a3}], remove: [X-Remove-1, X-Remove-2]"),
            Rule("/case", "set: [{name: X-Header-Set, value: new}], add: [{name: X-Header-Add, value: more}], remove: [X-Header-Remove]")));
        await calls.ExpectAsync("""
            GET /set (Other: val) => v1 /set other=val x-header-set=new
            GET /set (Other: val; X-Header-Set: old) => v1 /set other=val x-header-set=new
            GET /add (Other: val) => v1 /add other=val x-header-add=more
            GET /add (Other: val; X-Header-Add: old) => v1 /add other=val x-header-add=old,more
            GET /remove (X-Header-Remove: val) => v1 /remove !x-header-remove
            GET /multiple (X-Set-2: o; X-Add-2: o; X-Remove-2: o; Other: val) => v1 x-set-1=s1 x-set-2=s2 x-add-1=a1 x-add-2=o,a2 x-add-3=a3 other=val \
              !x-remove-1 !x-remove-2
            GET /case (x-header-set: o; x-header-add: o; x-header-remove: o; Other: val) => v1 x-header-set=new x-header-add=o,more other=val !x-header-remove
            """);
    }

    [Fact]
    public async Task Headers_of_answers_are_changed_also_together_with_those_of_the_request()
    {
        static string Rule(string path, string changes, string more = "") => $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], "
            + $"filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{{changes}}} }}{more}], {V1} }}";

        await using var calls = await OfRulesAsync(Place.Gateway, string.Join(", ",
            Rule("/set", "set: [{name: X-Header-Set, value: new}]"),
            Rule("/add", "add: [{name: X-Header-Add, value: more}]"),
            Rule("/remove", "remove: [X-Header-Remove]"),
            Rule("/multiple", "set: [{name: X-Set-1, value: s1}, {name: X-Set-2, value: s2}], add: [{name: X-Add-1, value: a1}, {name: X-Add-2, value: a2}], "
                + "remove: [X-Remove-1, X-Remove-2]"),
            Rule("/case", "set: [{name: X-Header-Set, value: new}], add: [{name: x-lower-add, value: l}, {name: X-UPPER-ADD, value: u}, "
                + "{name: x-miXed-ADD, value: m}], remove: [X-Header-Remove]"),
            Rule("/both", "set: [{name: X-Set-1, value: s1}], add: [{name: X-Add-2, value: a2}], remove: [X-Remove-1]", $", {Changes}")));
        await calls.ExpectAsync($"""
            GET /set (give-Other: val) => v1 <other=val <x-header-set=new
            GET /set (give-Other: val; give-X-Header-Set: old) => v1 <other=val <x-header-set=new
            GET /add (give-Other: val) => v1 <other=val <x-header-add=more
            GET /add (give-Other: val; give-X-Header-Add: old) => v1 <other=val <x-header-add=old,more
            GET /remove (give-X-Header-Remove: val) => v1 <!x-header-remove
            GET /multiple (give-X-Set-2: o; give-X-Add-2: o; give-X-Remove-2: o; give-X-Remove-1: o) => v1 <x-set-1=s1 <x-set-2=s2 <x-add-1=a1 \
              <x-add-2=o,a2 <!x-remove-1 <!x-remove-2
            GET /case (give-x-header-set: o; give-x-header-remove: o) => v1 <x-header-set=new <X-Lower-Add=l <X-Upper-Add=u <X-Mixed-Add=m <!X-Header-Remove
            GET /both (X-Header-Remove: val; X-Header-Append: given; X-Header-Set: given; give-X-Remove-1: o; give-X-Add-2: o) => v1 {Changed} <x-set-1=s1 \
              <x-add-2=o,a2 <!x-remove-1
            """);
    }

    [Theory]
    [InlineData(Place.Gateway)]
    [InlineData(Place.Mesh)]
    public async Task Redirects_change_what_the_filter_names_and_nothing_else(Place place)
    {
        static string Rule(string path, string redirect) =>
            $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], filters: [{{type: RequestRedirect, requestRedirect: {{{redirect}}} }}]}}";

        await using var calls = await OfRulesAsync(place, string.Join(", ",
            Rule("/host", "hostname: example.org"), Rule("/host-and-status", "hostname: example.org, statusCode: 301"),
            Rule("/prefix", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}"),
            Rule("/full", "path: {type: ReplaceFullPath, replaceFullPath: /whole}"),
            Rule("/path-and-host", "hostname: example.org, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}"),
            Rule("/path-and-status", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}, statusCode: 301"),
            Rule("/full-and-host", "hostname: example.org, path: {type: ReplaceFullPath, replaceFullPath: /whole}"),
            Rule("/full-and-status", "path: {type: ReplaceFullPath, replaceFullPath: /whole}, statusCode: 301"),
            Rule("/port", "port: 8083"), Rule("/port-and-host", "port: 8083, hostname: example.org"), Rule("/port-and-status", "port: 8083, statusCode: 301"),
            Rule("/port-host-status", "port: 8083, hostname: example.org, statusCode: 302"),
            Rule("/scheme", "scheme: https"), Rule("/scheme-and-host", "scheme: https, hostname: example.org"),
            Rule("/scheme-and-status", "scheme: https, statusCode: 301"), Rule("/scheme-host-status", "scheme: https, hostname: example.org, statusCode: 302"),
            Rule("/303", "statusCode: 303, hostname: example.org"), Rule("/307", "statusCode: 307, hostname: example.org"),
            Rule("/308", "statusCode: 308, hostname: example.org")));
        await calls.ExpectAsync("""
            GET echo/host => 302 <location=http://example.org/host
            GET echo/host-and-status => 301 <location=http://example.org/host-and-status
            GET echo/prefix/lemon => 302 <location=http://echo/new/lemon
            GET echo/full/path/original => 302 <location=http://echo/whole
            GET echo/path-and-host => 302 <location=http://example.org/new
            GET echo/path-and-status => 301 <location=http://echo/new
            GET echo/full-and-host => 302 <location=http://example.org/whole
            GET echo/full-and-status => 301 <location=http://echo/whole
            GET echo/port => 302 <location=http://echo:8083/port
            GET echo/port-and-host => 302 <location=http://example.org:8083/port-and-host
            GET echo/port-and-status => 301 <location=http://echo:8083/port-and-status
            GET echo/port-host-status => 302 <location=http://example.org:8083/port-host-status
            GET echo/scheme => 302 <location=https://echo/scheme
            GET echo/scheme-and-host => 302 <location=https://example.org/scheme-and-host
            GET echo/scheme-and-status => 301 <location=https://echo/scheme-and-status
            GET echo/scheme-host-status => 302 <location=https://example.org/scheme-host-status
            POST echo/303 => 303 <location=http://example.org/303
            GET echo/307 => 307 <location=http://example.org/307
            GET echo/308 => 308 <location=http://example.org/308
            """);
    }

    /// <summary>Without a port, it is that of the new scheme, and without a scheme that of the listener.</summary>
    [Fact]
    public async Task The_port_of_a_redirect_is_that_of_its_scheme_or_of_the_listener()
    {
        static string Rule(string path, string redirect) => $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], "
            + $"filters: [{{type: RequestRedirect, requestRedirect: {{hostname: o.org{redirect}}} }}]}}";
        var rules = string.Join(", ", Rule("/nil-nil", ""), Rule("/nil-80", ", port: 80"), Rule("/nil-443", ", port: 443"), Rule("/nil-9000", ", port: 9000"),
            Rule("/https-nil", ", scheme: https"), Rule("/https-443", ", scheme: https, port: 443"), Rule("/https-8443", ", scheme: https, port: 8443"),
            Rule("/http-nil", ", scheme: http"), Rule("/http-80", ", scheme: http, port: 80"), Rule("/http-8080", ", scheme: http, port: 8080"));
        await using (var calls = await AtGatewayAsync(Route("r", "{name: front}", rules), second: "{name: other, port: 9000, protocol: HTTP}"))
        {
            await calls.ExpectAsync("""
                GET /nil-nil => 302 <location=http://o.org/nil-nil
                GET /nil-80 => 302 <location=http://o.org/nil-80
                GET /nil-9000 => 302 <location=http://o.org:9000/nil-9000
                GET /https-nil => 302 <location=https://o.org/https-nil
                GET /https-443 => 302 <location=https://o.org/https-443
                GET /https-8443 => 302 <location=https://o.org:8443/https-8443
                """);
            await calls.ExpectAsync("""
                GET /nil-nil => 302 <location=http://o.org:9000/nil-nil
                GET /nil-80 => 302 <location=http://o.org/nil-80
                GET /https-nil => 302 <location=https://o.org/https-nil
                """, atSecond: true);
        }
        await using var secure = await AtGatewayAsync(Route("r", "{name: front}", rules), prepare: rig => ListenerCaseTests.Certificate(rig),
            second: "{name: tls, port: 9000, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]} }");
        await secure.ExpectAsync("""
            GET o.org>o.org/nil-nil => 302 <location=https://o.org:9000/nil-nil
            GET o.org>o.org/nil-443 => 302 <location=https://o.org/nil-443
            GET o.org>o.org/nil-9000 => 302 <location=https://o.org:9000/nil-9000
            GET o.org>o.org/http-nil => 302 <location=http://o.org/http-nil
            GET o.org>o.org/http-80 => 302 <location=http://o.org/http-80
            GET o.org>o.org/http-8080 => 302 <location=http://o.org:8080/http-8080
            """);
    }

    [Theory]
    [InlineData(Place.Gateway)]
    [InlineData(Place.Mesh)]
    public async Task Paths_and_hosts_are_rewritten_also_together_with_headers(Place place)
    {
        static string Rule(string path, string rewrite, string more = "") => $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], "
            + $"filters: [{{type: URLRewrite, urlRewrite: {{{rewrite}}} }}{more}], {V1} }}";

        await using var calls = await OfRulesAsync(place, string.Join(", ",
            Rule("/prefix/one", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /one}"),
            Rule("/strip", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /}"),
            Rule("/full/one", "path: {type: ReplaceFullPath, replaceFullPath: /one}"),
            Rule("/full/headers", "path: {type: ReplaceFullPath, replaceFullPath: /test}", $", {Changes}"),
            Rule("/prefix/headers", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /prefix}", $", {Changes}"),
            Rule("/host", "hostname: one.example.org"),
            Rule("/host-and-headers", "hostname: test.example.org", $", {Changes}")));
        await calls.ExpectAsync($"""
            GET /prefix/one/two => v1 /one/two
            GET /strip/three => v1 /three
            GET /strip => v1 /
            GET /full/one/two => v1 /one
            GET /full/headers/test {Headers} => v1 /test {Changed}
            GET /prefix/headers/one {Headers} => v1 /prefix/one {Changed}
            GET /host => v1 /host host=one.example.org
            GET /host-and-headers {Headers} => v1 host=test.example.org {Changed}
            """);
    }

    [Fact]
    public async Task Mirrored_requests_have_the_headers_of_the_request_that_they_copy()
    {
        await using var calls = await OfRulesAsync(Place.Gateway, $$"""
            {matches: [{path: {type: PathPrefix, value: /copy} }], {{V1}}, filters: [{{Mirrors}}]},
            {matches: [{path: {type: PathPrefix, value: /changed} }], {{V1}}, filters: [{{Changes}}, {{Mirrors}}]}
            """);
        await calls.ExpectAsync($"""
            GET /copy => v1
            GET /changed {Headers} => v1 {Changed}
            """);
        await Eventually.TrueAsync(() => calls.Seen.Count == 6);
        Assert.Equal(["v1 /changed", "v1 /copy", "v2 /changed", "v2 /copy", "v3 /changed", "v3 /copy"],
            calls.Seen.Select(line => line.Split(' ')).Select(words => $"{words[0]} {words[2]}").Order(StringComparer.Ordinal));
        Assert.All(calls.Seen.Where(line => line.Contains("/changed", StringComparison.Ordinal)), line =>
        {
            Assert.Contains("x-header-add=one x-header-append=given,two x-header-set=set", line, StringComparison.Ordinal);
            Assert.DoesNotContain("x-header-remove", line, StringComparison.Ordinal);
        });
    }

    [Theory]
    [InlineData("percent: 20", 20)]
    [InlineData("fraction: {numerator: 1, denominator: 2}", 50)]
    [InlineData("percent: 35", 35)]
    public async Task A_part_of_the_requests_is_mirrored(string part, int percent)
    {
        await using var calls = await OfRulesAsync(Place.Gateway, $$"""
            {filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v2, port: 80}, {{part}} } }], {{V1}} }
            """);
        var shares = await calls.SharesAsync("/", 400);
        Assert.Equal(400, shares[0]);
        // A last request whose copy is counted waits for those before it: copies are sent as requests arrive.
        var (expected, deviation) = (4 * percent, Math.Sqrt(400 * percent / 100.0 * (1 - (percent / 100.0))));
        await Eventually.TrueAsync(() => calls.Seen.Count(line => line.StartsWith("v2 ", StringComparison.Ordinal)) >= expected - (6 * deviation));
        Assert.InRange(calls.Seen.Count(line => line.StartsWith("v2 ", StringComparison.Ordinal)), expected - (6 * deviation), expected + (6 * deviation));
    }

    /// <summary>Each backend has its own changes, which the other one's requests do not have.</summary>
    [Fact]
    public async Task A_backend_gets_the_changes_that_are_for_it()
    {
        await using var calls = await OfRulesAsync(Place.Gateway, """
            {backendRefs: [
              {name: v1, port: 80, weight: 1, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: backend, value: v1}]} }]},
              {name: v2, port: 80, weight: 1, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: backend, value: v2}]} }]}]}
            """);
        await calls.SharesAsync("/", 100);
        Assert.Equal(["v1", "v2"], calls.Seen.Select(line => line.Split(' ')[0]).Distinct().Order(StringComparer.Ordinal));
        Assert.All(calls.Seen, line => Assert.Contains($" backend={line.Split(' ')[0]}", line, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Origins_that_may_are_told_so_before_and_with_their_requests()
    {
        static string Rule(string path, string cors) =>
            $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], filters: [{{type: CORS, cors: {{{cors}}} }}], {V1} }}";

        await using var calls = await OfRulesAsync(Place.Gateway, string.Join(", ",
            Rule("/some", "allowOrigins: ['https://www.foo.com', 'https://*.bar.com'], allowMethods: [GET, OPTIONS], allowHeaders: [x-1, x-2], "
                + "exposeHeaders: [x-3, x-4], allowCredentials: true, maxAge: 3600"),
            Rule("/methods", "allowOrigins: ['https://www.foo.com'], allowMethods: ['*']"),
            Rule("/origins", "allowOrigins: ['*'], allowMethods: [PUT], allowCredentials: false"),
            Rule("/all", "allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: true"),
            Rule("/open", "allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: false")));
        const string Get = "access-control-request-method: GET; access-control-request-headers: x-1, x-2",
            Some = "<access-control-allow-methods=GET,OPTIONS <access-control-allow-headers=x-1,x-2 <access-control-expose-headers=x-3,x-4 "
                + "<access-control-max-age=3600 <access-control-allow-credentials=true";
        await calls.ExpectAsync($"""
            OPTIONS /some (Origin: https://www.foo.com; {Get}) => 200 <access-control-allow-origin=https://www.foo.com {Some}
            OPTIONS /some (Origin: https://www.bar.com; {Get}) => 200 <access-control-allow-origin=https://www.bar.com {Some}
            OPTIONS /some (Origin: https://xpto.www.bar.com; {Get}) => 200 <access-control-allow-origin=https://xpto.www.bar.com {Some}
            OPTIONS /some (Origin: https://foobar.com; access-control-request-method: GET) => 200 <!access-control-allow-origin
            GET /some (Origin: https://www.foo.com) => v1 <access-control-allow-origin=https://www.foo.com
            GET /some (Origin: https://www.bar.com) => v1 <access-control-allow-origin=https://www.bar.com
            GET /some (Origin: https://foobar.com) => v1 <!access-control-allow-origin
            OPTIONS /methods (Origin: https://www.foo.com; access-control-request-method: POST) => 200 <access-control-allow-methods=* \
              <access-control-allow-origin=https://www.foo.com <!access-control-allow-credentials
            OPTIONS /origins (Origin: https://foobar.com; access-control-request-method: PUT) => 200 <access-control-allow-origin=https://foobar.com \
              <access-control-allow-methods=PUT <!access-control-allow-credentials
            OPTIONS /origins (Origin: https://foobar.com:12345; access-control-request-method: PUT) => 200 \
              <access-control-allow-origin=https://foobar.com:12345 <access-control-allow-methods=PUT <!access-control-allow-credentials
            PUT /origins (Origin: https://foobar.com:12345) => v1 <access-control-allow-origin=https://foobar.com:12345
            PUT /origins (Origin: https://foobar.com) => v1 <access-control-allow-origin=https://foobar.com <!access-control-allow-credentials
            OPTIONS /all (Origin: https://o.foo.com; access-control-request-method: PUT; access-control-request-headers: x-1, x-2) => 200 \
              <access-control-allow-origin=https://o.foo.com <access-control-allow-methods=PUT <access-control-allow-headers=x-1,x-2 \
              <access-control-allow-credentials=true
            OPTIONS /open (Origin: https://o.foo.com; access-control-request-method: PUT; access-control-request-headers: x-1, x-2) => 200 \
              <access-control-allow-origin=https://o.foo.com <access-control-allow-methods=* <access-control-allow-headers=* \
              <!access-control-allow-credentials
            GET /all (Origin: https://o.foo.com) => v1 <access-control-allow-origin=https://o.foo.com <access-control-allow-credentials=true
            GET /open (Origin: https://o.foo.com) => v1 <access-control-allow-origin=https://o.foo.com <!access-control-allow-credentials
            """);
    }
}
