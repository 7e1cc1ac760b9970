using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Rigs.Proxy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.Proxy.Filters;

/// <summary>The filter set_filter_state; a policy after it shows what it has kept.</summary>
public sealed class SetStateFilterTests
{
    private const string Extensions = "type.googleapis.com/envoy.extensions.filters.http.";
    private const string Answer = """ "direct_response": {"status": 204} """;
    private const string Text = """ "factory_key": "envoy.string" """;
    private const string Address = "envoy.filters.listener.original_dst.local_ip";

    [Theory]
    [InlineData("""{"format_string": {"text_format_source": {"inline_string": "x"} } }""", "set_filter_state: a value without an object_key")]
    [InlineData("""{"object_key": "k", "format_string": {"text_format_source": {"inline_string": "x"} } }""",
        "set_filter_state: object_key 'k' with factory_key 'k' is not supported: only envoy.string, ")]
    [InlineData("""{"object_key": "k", "factory_key": "envoy.uint64", "format_string": {"text_format_source": {"inline_string": "1"} } }""",
        "set_filter_state: object_key 'k' with factory_key 'envoy.uint64' is not supported: only envoy.string, ")]
    [InlineData("""{"object_key": "k", "factory_key": "envoy.filters.listener.original_dst.local_ip", "format_string": {"text_format_source": {"inline_string": "1"} } }""",
        "set_filter_state: object_key 'k' with factory_key 'envoy.filters.listener.original_dst.local_ip' is not supported: only ")]
    [InlineData("""{"object_key": "envoy.tcp_proxy.cluster", "factory_key": "envoy.string", "format_string": {"text_format_source": {"inline_string": "x"} } }""",
        "set_filter_state: object_key 'envoy.tcp_proxy.cluster' is not supported")]
    [InlineData("""{"object_key": "envoy.filters.listener.original_dst.local_ip", "factory_key": "envoy.string", "format_string": {"text_format_source": {"inline_string": "x"} } }""",
        "set_filter_state: object_key 'envoy.filters.listener.original_dst.local_ip' is not supported")]
    [InlineData("""{"object_key": "k", "factory_key": "envoy.string"}""", "set_filter_state: format_string of 'k' is not supported: only text_format_source with inline text is")]
    [InlineData("""{"object_key": "k", "factory_key": "envoy.string", "format_string": {"json_format": {"a": "b"} } }""",
        "set_filter_state: format_string of 'k' is not supported: only text_format_source with inline text is")]
    [InlineData("""{"object_key": "k", "factory_key": "envoy.string", "format_string": {"text_format_source": {"filename": "/f"} } }""",
        "set_filter_state: format_string of 'k' is not supported: only text_format_source with inline text is")]
    [InlineData("""{"object_key": "k", "factory_key": "envoy.string", "format_string": {"text_format_source": {"inline_string": "%NEVER_HEARD_OF%"} } }""",
        "set_filter_state: format_string of 'k': access log format: %NEVER_HEARD_OF% is not supported")]
    public void What_it_cannot_keep_is_refused(string value, string message)
    {
        var filter = WireTypes.Strict.Parse<HttpFilter>($$$"""{"name": "facts", "typed_config": {"@type": "{{{Extensions}}}set_filter_state.v3.Config", "on_request_headers": [{{{value}}}] } }""");
        Assert.StartsWith(message, Assert.Throws<ResourceException>(new HttpFilters("", [filter], []).TakeAll).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("%REQ(X-WHO)%", "", "X-Who: me\r\n", "me", true)]
    [InlineData("%REQ(X-WHO)%", "", "X-Who: you\r\n", "me", false)]
    [InlineData("%REQ(:METHOD)% %REQ(X-WHO)%", "", "X-Who: me\r\n", "GET me", true)]
    // What is missing is a dash, as in logs, or nothing.
    [InlineData("%REQ(X-WHO)%", "", "", "-", true)]
    [InlineData("%REQ(X-WHO)%", """, "omit_empty_values": true""", "", "", true)]
    public async Task A_value_is_made_of_the_request(string format, string more, string fields, string expected, bool isIt)
    {
        using var proxy = new LoopbackProxy([], Answer, Set(Value("who", format, formatMore: more)) + Require("who", expected));
        Assert.Equal(isIt ? 204 : 403, await StatusAsync(proxy, fields));
    }

    [Theory]
    [InlineData("", "", true)]
    [InlineData(""", "skip_if_empty": true""", "", false)]
    [InlineData(""", "skip_if_empty": true""", "X-Who: me\r\n", true)]
    public async Task An_empty_value_is_kept_unless_it_is_to_be_skipped(string more, string fields, bool isKept)
    {
        var value = Value("who", "%REQ(X-WHO)%", more, """, "omit_empty_values": true""");
        using var proxy = new LoopbackProxy([], Answer, Set(value) + RequireMatch("who", """{"prefix": ""}""", """{"safe_regex": {"regex": ".*"} }"""));
        Assert.Equal(isKept ? 204 : 403, await StatusAsync(proxy, fields));
    }

    [Theory]
    [InlineData("10.0.0.1:80", true)]
    [InlineData("10.0.0.1", false)]
    [InlineData("8080", false)]
    [InlineData("shop:80", false)]
    public async Task An_address_that_is_none_is_not_kept(string host, bool isKept)
    {
        var value = $$$"""{"object_key": "{{{Address}}}", "format_string": {"text_format_source": {"inline_string": "%REQ(:AUTHORITY)%"} } }""";
        using var proxy = new LoopbackProxy([], Answer, Set(value) + Require(Address, host));
        Assert.Equal(isKept ? 204 : 403, await StatusAsync(proxy, "", host));
    }

    [Theory]
    [InlineData("", "second")]
    [InlineData(""", "read_only": true""", "first")]
    public async Task A_later_value_takes_the_place_of_one_that_is_not_read_only(string more, string expected)
    {
        using var proxy = new LoopbackProxy([], Answer, Set(Value("k", "first", more)) + Set(Value("k", "second")) + Require("k", expected));
        Assert.Equal(204, await StatusAsync(proxy));
    }

    [Fact]
    public async Task A_policy_before_it_does_not_see_what_it_will_keep()
    {
        using var proxy = new LoopbackProxy([], Answer, Require("k", "v") + Set(Value("k", "v")));
        Assert.Equal(403, await StatusAsync(proxy));
    }

    [Theory]
    [InlineData("true", 204)]
    [InlineData("false", 404)]
    public async Task It_has_the_route_chosen_again(string clears, int status)
    {
        // The route is chosen before the first filter edits the request; the header that the other route asks for is there only then.
        const string Edit = $$$"""
            {"name": "edit", "typed_config": {"@type": "{{{Extensions}}}header_mutation.v3.HeaderMutation",
              "mutations": {"request_mutations": [{"append": {"header": {"key": "x-way", "value": "new"} } }] } } },
            """;
        using var proxy = new LoopbackProxy([], Answer, Edit + Set(Value("k", "v"), $$""", "clear_route_cache": {{clears}}"""));
        proxy.Routes($$"""
            {"name": "new", "match": {"prefix": "/", "headers": [{"name": "x-way", "string_match": {"exact": "new"} }] }, {{Answer}} },
            {"name": "old", "match": {"prefix": "/"}, "direct_response": {"status": 404} }
            """);
        Assert.Equal(status, await StatusAsync(proxy));
    }

    [Fact]
    public async Task The_next_request_of_a_connection_begins_anew()
    {
        var value = Value("who", "%REQ(X-WHO)%", """, "skip_if_empty": true, "read_only": true""", """, "omit_empty_values": true""");
        using var proxy = new LoopbackProxy([], Answer, Set(value) + Require("who", "me"));
        var answers = await proxy.RawAsync(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Who: me\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX-Who: me\r\nConnection: close\r\n\r\n");
        Assert.Equal(["204", "403", "204"], answers.Split("HTTP/1.1 ").Skip(1).Select(answer => answer[..3]));
    }

    private static string Value(string key, string format, string more = "", string formatMore = "") => $$$"""
        {"object_key": "{{{key}}}", {{{Text}}}, "format_string": {"text_format_source": {"inline_string": "{{{format}}}"} {{{formatMore}}} } {{{more}}} }
        """;

    private static string Set(string value, string more = "") => $$$"""
        {"name": "facts", "typed_config": {"@type": "{{{Extensions}}}set_filter_state.v3.Config", "on_request_headers": [{{{value}}}] {{{more}}} } },
        """;

    private static string Require(string key, string value) => RequireMatch(key, $$"""{"exact": "{{value}}"}""");

    private static string RequireMatch(string key, params string[] matches) => $$$"""
        {"name": "envoy.filters.http.rbac", "typed_config": {"@type": "{{{Extensions}}}rbac.v3.RBAC", "rules": {"policies": {"p": {"permissions": [{"any": true}],
          "principals": [{{{string.Join(", ", matches.Select(match => $$$"""{"filter_state": {"key": "{{{key}}}", "string_match": {{{match}}} } }"""))}}}] } } } } },
        """;

    private static async Task<int> StatusAsync(LoopbackProxy proxy, string fields = "", string host = "a") =>
        int.Parse((await proxy.RawAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n")).Split(' ')[1],
            System.Globalization.CultureInfo.InvariantCulture);
}
