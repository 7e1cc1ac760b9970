using System.Net;
using Isthmus.Samples;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Libraries.Samples;

public class NslookupTests
{
    private const string PodFile = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5 timeout:1\n";

    [Fact]
    public void A_short_name_is_searched_first_and_an_absolute_one_is_not()
    {
        var settings = ResolverSettings.Parse(PodFile);
        Assert.Equal(["web.shop.svc.cluster.local", "web.svc.cluster.local", "web.cluster.local", "web"], settings.Candidates("web"));
        Assert.Equal(["a.b.c.d.e.f", "a.b.c.d.e.f.shop.svc.cluster.local"], settings.Candidates("a.b.c.d.e.f").Take(2));
        Assert.Equal(["web"], settings.Candidates("web."));
        Assert.Equal(IPAddress.Parse("10.96.0.10"), settings.Servers[0].Address);
    }

    [Fact]
    public void Output_is_that_of_binds_tool()
    {
        var query = DnsMessage.Query(1, new DnsQuestion("web.shop", DnsType.A));
        var answer = query.Answer(DnsCode.NoError) with { Answers = [new("web.shop", 30, new AddressContent(IPAddress.Parse("240.0.0.2")))] };
        Assert.Equal((false, "Non-authoritative answer:\nName:\tweb.shop\nAddress: 240.0.0.2\n"), NslookupProgram.Print("web.shop", [(DnsType.A, answer)]));
        Assert.Equal((true, "** server can't find web.shop: NXDOMAIN\n"), NslookupProgram.Print("web.shop", [(DnsType.A, query.Answer(DnsCode.NameError))]));
        Assert.Equal((false, "*** Can't find web.shop: No answer\n"), NslookupProgram.Print("web.shop", [(DnsType.A, query.Answer(DnsCode.NoError))]));
    }
}
