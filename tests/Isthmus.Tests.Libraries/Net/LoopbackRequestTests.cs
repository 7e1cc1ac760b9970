using System.Net;
using Isthmus.Core.Net;
using Xunit;

namespace Isthmus.Tests.Libraries.Net;

public sealed class LoopbackRequestTests
{
    [Theory]
    [InlineData("", "", "")]
    [InlineData("localhost:15000", "", "")]
    [InlineData("LOCALHOST", "", "")]
    [InlineData("127.0.0.1:39211", "", "none")]
    [InlineData("127.8.9.1", "", "")]
    [InlineData("[::1]:15000", "", "")]
    [InlineData("10.244.0.7:15000", "", "")]
    [InlineData("localhost:15000", "http://localhost:15000", "same-origin")]
    public void Programs_and_pages_of_the_port_itself_are_served(string host, string origin, string site) =>
        Assert.Null(LoopbackRequest.Refusal(host, origin, site, IPAddress.Parse("10.244.0.7")));

    [Theory]
    [InlineData("rebound.example.com:15000", "", "", "Host 'rebound.example.com:15000'")]
    [InlineData("localhost.example.com", "", "", "Host")]
    [InlineData("10.244.0.8:15000", "", "", "Host")]
    [InlineData("localhost:15000", "https://example.com", "", "Origin 'https://example.com'")]
    [InlineData("localhost:15000", "null", "", "Origin 'null'")]
    [InlineData("127.0.0.1:15000", "", "cross-site", "Sec-Fetch-Site is 'cross-site'")]
    [InlineData("127.0.0.1:15000", "", "same-site", "Sec-Fetch-Site")]
    public void Pages_of_other_sites_are_refused(string host, string origin, string site, string reason) =>
        Assert.StartsWith(reason, LoopbackRequest.Refusal(host, origin, site, IPAddress.Parse("10.244.0.7")), StringComparison.Ordinal);
}
