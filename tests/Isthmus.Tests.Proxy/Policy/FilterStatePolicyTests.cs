using System.Net;
using Google.Protobuf;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Rbac;
using Xunit;

namespace Isthmus.Tests.Proxy.Policy;

/// <summary>Rules about what filters said of a request or of a connection.</summary>
public sealed class FilterStatePolicyTests
{
    private const string Mine = """{"filter_state": {"key": "who", "string_match": {"exact": "me"} } }""";

    [Theory]
    [InlineData("ALLOW", Mine, "me", true)]
    [InlineData("ALLOW", Mine, "you", false)]
    [InlineData("ALLOW", Mine, null, false)]
    [InlineData("DENY", Mine, "me", false)]
    [InlineData("DENY", Mine, "you", true)]
    [InlineData("DENY", Mine, null, true)]
    [InlineData("ALLOW", $$"""{"not_id": {{Mine}} }""", "me", false)]
    [InlineData("ALLOW", $$"""{"not_id": {{Mine}} }""", "you", true)]
    // Who did not say who it is, is not me: DENY of all but me denies it.
    [InlineData("DENY", $$"""{"not_id": {{Mine}} }""", null, false)]
    [InlineData("DENY", $$"""{"not_id": {{Mine}} }""", "me", true)]
    [InlineData("ALLOW", """{"filter_state": {"key": "who", "string_match": {"prefix": ""} } }""", null, false)]
    [InlineData("ALLOW", """{"filter_state": {"key": "who", "string_match": {"safe_regex": {"regex": ".*"} } } }""", null, false)]
    [InlineData("ALLOW", """{"filter_state": {"key": "who", "string_match": {"prefix": "m"} } }""", "me", true)]
    public void A_rule_is_about_the_text_of_an_object(string action, string principal, string? value, bool isAllowed)
    {
        var state = value is null ? FilterState.Empty.With("other", new("me")) : FilterState.Empty.With("who", new(value));
        // With a request, as in HTTP filters, and without, as in network filters.
        foreach (var request in (RequestHead?[])[new RequestHead { Method = "GET" }, null])
            Assert.Equal(isAllowed, Policy(principal, action).Decide(Facts(request) with { State = state }).IsAllowed);
    }

    [Theory]
    [InlineData("ALLOW", Mine, false)]
    [InlineData("DENY", $$"""{"not_id": {{Mine}} }""", false)]
    public void A_connection_without_any_state_is_nobody(string action, string principal, bool isAllowed) =>
        Assert.Equal(isAllowed, Policy(principal, action).Decide(Facts(null)).IsAllowed);

    [Theory]
    [InlineData("""{"filter_state": {"key": "who"} }""", "rbac principal filter_state 'who': only string_match is supported")]
    [InlineData("""{"filter_state": {"string_match": {"exact": "me"} } }""", "rbac principal filter_state without a key")]
    public void A_rule_that_it_cannot_read_is_refused(string principal, string message) =>
        Assert.Equal(message, Assert.Throws<ResourceException>(() => Policy(principal)).Message);

    /// <summary>The matcher of addresses (field 3) is in no message that this proxy knows.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_matcher_that_is_unknown_is_refused(bool isNegated)
    {
        var unknown = FilterStateMatcher.Parser.ParseFrom([.. new FilterStateMatcher { Key = "who" }.ToByteArray(), 3 << 3 | 2, 0]);
        var principal = new Principal { FilterState = unknown };
        var rules = new RBAC();
        rules.Policies["p"] = new()
        {
            Permissions = { new Permission { Any = true } }, Principals = { isNegated ? new Principal { NotId = principal } : principal },
        };
        Assert.Equal("rbac principal filter_state 'who': only string_match is supported",
            Assert.Throws<ResourceException>(() => RbacPolicy.From(rules)).Message);
    }

    private static RbacPolicy Policy(string principal, string action = "ALLOW") => RbacPolicy.From(WireTypes.Strict.Parse<RBAC>(
        $$"""{"action": "{{action}}", "policies": {"p": {"permissions": [{"any": true}], "principals": [{{principal}}] } } }"""))!;

    private static PolicyFacts Facts(RequestHead? request) =>
        new(request, "http", null, new(IPAddress.Loopback, 1), IPAddress.Loopback, new(IPAddress.Loopback, 8080), "");
}
