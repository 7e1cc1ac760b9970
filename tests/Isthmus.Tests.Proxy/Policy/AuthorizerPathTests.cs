using System.Text.RegularExpressions;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Matching;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Xunit;

namespace Isthmus.Tests.Proxy.Policy;

/// <summary>The paths at which authorizers that speak plain HTTP are asked.</summary>
public sealed partial class AuthorizerPathTests
{
    private const string Type = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";

    [Theory]
    [InlineData("", "/orders/7?q=2")]
    [InlineData(""" , "path_prefix": "/check" """, "/check/orders/7?q=2")]
    [InlineData(""" , "path_override": "/check?by=mesh" """, "/check?by=mesh")]
    [InlineData(""" , "retry_policy": {"num_retries": 2} """, "/orders/7?q=2")]
    public async Task An_authorizer_is_asked_at_the_path_that_the_filter_says(string more, string expected)
    {
        using var authorizer = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n")) await proxy.SayAsync("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("authz")], """ "direct_response": {"status": 204} """,
            $$"""{"name": "authz", "typed_config": {"@type": "{{Type}}", {{Service(more)}} } },""");
        proxy.Endpoints("authz", authorizer.Port);
        Assert.StartsWith("HTTP/1.1 204 ", await proxy.RawAsync("GET /orders/7?q=2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
            StringComparison.Ordinal);
        Assert.Equal(expected, Target().Match(Assert.Single(authorizer.Heard)).Groups[1].Value);
    }

    /// <summary>Envoy 1.40 refuses the first two, and does what the third says.</summary>
    [Theory]
    [InlineData(""" , "path_prefix": "/a", "path_override": "/b" """, "both path_prefix and path_override")]
    [InlineData(""" , "path_override": "check" """, "path_override does not begin with /")]
    [InlineData(""" , "retry_policy": {"retry_on": "5xx"} """, "retry_policy is not supported")]
    public void What_cannot_be_done_is_refused_by_name(string more, string expected)
    {
        var filter = WireTypes.Strict.Parse<ExtAuthz>($"{{ {Service(more)} }}");
        Assert.Contains(expected, Assert.Throws<ResourceException>(() => ExternalCheckDecoder.Decode(filter, "authz", "")).Message, StringComparison.Ordinal);
    }

    private static string Service(string more) =>
        $$""" "http_service": {"server_uri": {"uri": "http://a", "cluster": "authz", "timeout": "60s"} {{more}} } """;

    [GeneratedRegex("^GET ([^ ]+) ")]
    private static partial Regex Target();
}
