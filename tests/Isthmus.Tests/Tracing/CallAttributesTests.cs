using System.Net;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;
using Xunit;

namespace Isthmus.Tests.Tracing;

public sealed class CallAttributesTests
{
    /// <summary>As proxies match: which star is a wildcard depends on the attribute.</summary>
    [Theory]
    [InlineData(RuleKeys.Namespace, "s*p", true)]
    [InlineData(RuleKeys.Namespace, "s*x", false)]
    [InlineData(RuleKeys.Principal, "td1/ns/*/sa/web", false)]
    [InlineData(RuleKeys.Principal, "*/sa/web", true)]
    [InlineData(RuleKeys.ServiceAccount, "shop/web", true)]
    [InlineData(RuleKeys.DestinationPort, "80", true)]
    [InlineData(RuleKeys.SourceIp, "10.0.0.0/8", true)]
    public void A_call_satisfies_what_proxies_match(string key, string value, bool satisfies)
    {
        var call = new CallAttributes("spiffe://td1/ns/shop/sa/web", null, IPEndPoint.Parse("10.0.0.1:4000"), IPEndPoint.Parse("10.0.0.2:80"), "", null);
        Assert.Equal(satisfies, call.Satisfies(new(key, [value], [])));
        Assert.Equal(!satisfies, call.Satisfies(new(key, [], [value])));
    }
}
