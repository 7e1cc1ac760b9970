using Isthmus.WebConsole.Serving;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>Who may use the console: its own page, opened by whoever started it.</summary>
public sealed class RequestRulesTests
{
    private static readonly string[] Own = ["127.0.0.1:4711", "localhost:4711"];

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

    [Fact]
    public void The_token_opens_once_and_only_its_key_admits()
    {
        var entrance = new Entrance();
        Assert.Null(entrance.Exchange(""));
        Assert.Null(entrance.Exchange(entrance.Token[1..]));
        var key = entrance.Exchange(entrance.Token);
        Assert.NotNull(key);
        Assert.NotEqual(entrance.Token, key);
        Assert.Null(entrance.Exchange(entrance.Token));
        Assert.True(entrance.Admits($"Bearer {key}"));
        foreach (var wrong in (string[])["", "Bearer ", $"Bearer {entrance.Token}", $"Basic {key}", $"Bearer {key}x", key]) Assert.False(entrance.Admits(wrong), wrong);
        Assert.False(new Entrance().Admits($"Bearer {key}"));
    }
}
