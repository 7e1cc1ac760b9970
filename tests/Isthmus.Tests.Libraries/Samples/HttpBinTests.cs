using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Samples;
using Isthmus.Samples.Http;
using Isthmus.Samples.HttpBin;
using Xunit;

namespace Isthmus.Tests.Libraries.Samples;

public class HttpBinTests
{
    private static readonly HttpHandler Bin = HttpBinProgram.Handler(TimeProvider.System, new Random(7));

    [Fact]
    public void Get_describes_the_request()
    {
        var json = Json(Get("/get?a=1&a=2&b=%20", ("host", "bin:8000"), ("x-b3-traceid", "7"), ("X-Forwarded-Proto", "https")));
        Assert.Equal("""{"a":["1","2"],"b":" "}""", json["args"]!.ToJsonString());
        Assert.Equal(["Host", "X-B3-Traceid", "X-Forwarded-Proto"], json["headers"]!.AsObject().Select(pair => pair.Key));
        Assert.Equal("https://bin:8000/get?a=1&a=2&b=%20", (string?)json["url"]);
        Assert.Equal("10.0.0.1", (string?)json["origin"]);
    }

    [Fact]
    public void Anything_shows_json_and_method()
    {
        var json = Json(Bin(new("PATCH", "/anything/x", "HTTP/1.1", [], "{\"k\": [1]}"u8.ToArray(), "10.0.0.1")));
        Assert.Equal("PATCH", (string?)json["method"]);
        Assert.Equal("""{"k":[1]}""", json["json"]!.ToJsonString());
        Assert.Equal("{\"k\": [1]}", (string?)json["data"]);
    }

    [Fact]
    public void A_multipart_form_is_taken_apart()
    {
        var body =
            "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; "
                + "filename=\"t\"\r\n\r\nline\r\n--x--\r\n";
        var json = Json(Bin(new("POST", "/post", "HTTP/1.1", [new("Content-Type", "multipart/form-data; boundary=x")], Encoding.ASCII.GetBytes(body),
            "10.0.0.1")));
        Assert.Equal("""{"a":"1"}""", json["form"]!.ToJsonString());
        Assert.Equal("""{"f":"line"}""", json["files"]!.ToJsonString());
    }

    [Theory]
    [InlineData("/status/418", 418)]
    [InlineData("/status/503", 503)]
    [InlineData("/status/204", 204)]
    [InlineData("/basic-auth/u/p", 401)]
    [InlineData("/hidden-basic-auth/u/p", 404)]
    [InlineData("/redirect/2", 302)]
    [InlineData("/nothing", 404)]
    [InlineData("/post", 405)]
    [InlineData("/xml", 200)]
    [InlineData("/gzip", 200)]
    public void Paths_answer_with_their_status(string path, int status) => Assert.Equal(status, Get(path).Status);

    [Fact]
    public void Several_statuses_come_by_weight()
    {
        var codes = Enumerable.Range(0, 400).Select(_ => Get("/status/200:3,500:1").Status).ToList();
        Assert.InRange(codes.Count(code => code == 500), 60, 140);
    }

    [Fact]
    public void A_password_opens_and_bytes_are_as_many_as_asked()
    {
        var password = "Basic " + Convert.ToBase64String("u:p"u8);
        Assert.True((bool)Json(Get("/basic-auth/u/p", ("Authorization", password)))["authenticated"]!);
        Assert.Equal(1000, Get("/bytes/1000").Body.Length);
        Assert.Equal(TimeSpan.FromSeconds(10), Get("/delay/99").Delay);
        Assert.Equal("HTTPBIN", Encoding.UTF8.GetString(Get("/base64/SFRUUEJJTg==").Body.Span));
    }

    [Fact]
    public void Response_headers_say_what_was_asked_but_cannot_split_the_answer()
    {
        var reply = Get("/response-headers?X-One=1&X%0d%0aEvil=2");
        Assert.Contains(reply.Headers, header => header is { Key: "X-One", Value: "1" });
        Assert.DoesNotContain(reply.Headers, header => header.Key.Contains('\n', StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("90", 90.0)]
    [InlineData("1.5m", 90.0)]
    [InlineData("1d", 86400.0)]
    [InlineData("x", null)]
    public void Sleep_reads_times_as_sleep_does(string word, double? seconds) => Assert.Equal(seconds, SleepProgram.Parse(word)?.TotalSeconds);

    private static HttpReply Get(string target, params (string, string)[] headers) =>
        Bin(new("GET", target, "HTTP/1.1", [.. headers.Select(h => KeyValuePair.Create(h.Item1, h.Item2))], default, "10.0.0.1"));

    private static JsonObject Json(HttpReply reply) => (JsonObject)JsonNode.Parse(reply.Body.Span)!;
}
