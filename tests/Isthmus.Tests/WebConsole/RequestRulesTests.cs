using Isthmus.WebConsole.Serving;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>Who may use the console: its own page, opened by whoever started it.</summary>
public sealed class RequestRulesTests
{
    private static readonly SiteNames Own = new("http", ["127.0.0.1:4711", "localhost:4711"]);

    private static readonly RequestFacts Call = new("POST", "/api/trace", "127.0.0.1:4711", "http://127.0.0.1:4711", "same-origin", "application/json");

    private static int? Status(RequestFacts request) => RequestRules.Check(request, Own)?.Status;

    [Fact]
    public void The_page_calls_its_server()
    {
        Assert.Null(Status(Call));
        Assert.Null(Status(Call with { Host = "localhost:4711", Origin = "http://localhost:4711", ContentType = "application/json; charset=utf-8" }));
        Assert.Null(Status(Call with { Origin = "", FetchSite = "" }));
    }

    [Theory]
    [InlineData("evil.test:4711")]
    [InlineData("evil.test")]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.1:80")]
    [InlineData("")]
    public void A_name_that_leads_here_is_another_Host(string host)
    {
        Assert.Equal(421, Status(Call with { Host = host }));
        Assert.Equal(421, Status(new("GET", "/", host, "", "none", "")));
    }

    [Theory]
    [InlineData("http://evil.test")]
    [InlineData("http://127.0.0.1:4712")]
    [InlineData("https://127.0.0.1:4711")]
    [InlineData("http://127.0.0.1:47110")]
    [InlineData("null")]
    public void Pages_of_other_origins_cannot_call(string origin)
    {
        Assert.Equal(403, Status(Call with { Origin = origin }));
        Assert.Equal(403, Status(Call with { Origin = origin, FetchSite = "" }));
    }

    [Theory]
    [InlineData("cross-site")]
    [InlineData("same-site")]
    [InlineData("none")]
    public void Browsers_say_where_a_call_comes_from(string site) => Assert.Equal(403, Status(Call with { Origin = "", FetchSite = site }));

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    [InlineData("OPTIONS")]
    public void Calls_need_POST(string method) => Assert.Equal(405, Status(Call with { Method = method }));

    [Theory]
    [InlineData("")]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    public void Calls_need_JSON_which_forms_of_other_pages_cannot_send(string type) => Assert.Equal(415, Status(Call with { ContentType = type }));

    [Fact]
    public void The_page_itself_is_only_read()
    {
        Assert.Null(Status(new("GET", "/", "localhost:4711", "", "none", "")));
        Assert.Null(Status(new("HEAD", "/console.js", "localhost:4711", "", "same-origin", "")));
        Assert.Equal(405, Status(new("POST", "/", "localhost:4711", "", "", "application/json")));
    }

    [Theory]
    [InlineData("localhost:8090", "http://localhost:8090", null)]
    [InlineData("LOCALHOST:41234", "", null)]
    [InlineData("127.0.0.1", "http://127.0.0.1", null)]
    [InlineData("[::1]:8090", "http://[::1]:8090", null)]
    [InlineData("[::1]", "", null)]
    [InlineData("localhost:8090", "http://localhost:3000", 403)]
    [InlineData("localhost:8090", "https://localhost:8090", 403)]
    [InlineData("localhost.evil.test:8090", "", 421)]
    [InlineData("evil.test:8090", "http://evil.test:8090", 421)]
    [InlineData(":8090", "", 421)]
    public void A_forwarded_port_may_be_any_and_its_name_is_that_of_the_loopback(string host, string origin, int? status) =>
        Assert.Equal(status,
            RequestRules.Check(Call with { Host = host, Origin = origin }, new("http", ["localhost", "127.0.0.1", "[::1]"], AnyPort: true))?.Status);

    [Theory]
    [InlineData("console.example.com", "https://console.example.com", null)]
    [InlineData("console.example.com:443", "", null)]
    [InlineData("Console.Example.Com:8443", "https://console.example.com:8443", null)]
    [InlineData("console.example.com:9443", "", 421)]
    [InlineData("console.example.com", "http://console.example.com", 403)]
    [InlineData("other.example.com", "", 421)]
    [InlineData("localhost", "", 421)]
    public void Over_TLS_only_the_names_that_are_set_are_served(string host, string origin, int? status) =>
        Assert.Equal(status,
            RequestRules.Check(Call with { Host = host, Origin = origin }, new("https", ["console.example.com", "console.example.com:8443"]))?.Status);

    [Fact]
    public async Task The_token_opens_once_and_only_its_key_admits()
    {
        var stop = TestContext.Current.CancellationToken;
        static Entrance New() => new(new(), new Dictionary<string, Answer>());
        async Task<bool> AdmitsAsync(Entrance entrance, string key) => (await entrance.AdmitAsync(new(key, "", ""), stop)).Visit is not null;
        var entrance = New();
        foreach (var wrong in (string[])["", entrance.Token[1..]]) Assert.Equal(403, (await entrance.EnterAsync(wrong, stop)).Refusal?.Status);
        var key = (await entrance.EnterAsync(entrance.Token, stop)).Key;
        Assert.NotEqual(entrance.Token, key);
        Assert.Equal(403, (await entrance.EnterAsync(entrance.Token, stop)).Refusal?.Status);
        Assert.True(await AdmitsAsync(entrance, key));
        foreach (var wrong in (string[])["", entrance.Token, $"{key}x", $"Bearer {key}"]) Assert.False(await AdmitsAsync(entrance, wrong), wrong);
        Assert.False(await AdmitsAsync(New(), key));
    }
}
