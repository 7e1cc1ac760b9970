using Isthmus.Core.Flags;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Targets and requests, as users write them.</summary>
public sealed class WrittenCallTests
{
    [Theory]
    [InlineData("orders", "", "orders", 0, "")]
    [InlineData("Orders.Shop.:8080/a?b=c", "", "orders.shop", 8080, "/a?b=c")]
    [InlineData("https://vault", "https", "vault", 0, "")]
    [InlineData("grpc://orders:9000/shop.Orders/Get", "grpc", "orders", 9000, "/shop.Orders/Get")]
    [InlineData("tcp://10.0.0.1:5432", "tcp", "10.0.0.1", 5432, "")]
    public void Targets_are_read(string text, string scheme, string host, int port, string path)
    {
        var target = TraceTarget.Parse(text);
        Assert.Equal((scheme, host, port, path), (target.Scheme, target.Host, target.Port, target.Path));
        Assert.Equal(text.Contains(".:", StringComparison.Ordinal) ? $"{host}." : host, target.Written);
    }

    [Fact]
    public void What_is_sent_is_read()
    {
        var sent = SentRequest.Parse("put", ["X-User:  ann", "accept: text/html"], "a=b", "e30.e30.x");
        Assert.Equal(("PUT", "a=b"), (sent.Method, sent.Body));
        Assert.Equal([new("x-user", "ann"), new("accept", "text/html"), new SentHeader("authorization", "Bearer e30.e30.x")], sent.Headers);
        Assert.Equal(SentRequest.Plain, SentRequest.Parse("", [], "", ""));
    }

    [Theory]
    [InlineData("GE T", "a: b", "", "--method")]
    [InlineData("GET", "a b", "", "--header")]
    [InlineData("GET", ": b", "", "--header")]
    [InlineData("GET", "a: b\r\nhost: c", "", "--header")]
    public void What_cannot_be_sent_is_refused(string method, string header, string body, string option) =>
        Assert.Contains(option, Assert.Throws<WrongUseException>(() => SentRequest.Parse(method, [header], body, "")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Headers_longer_than_those_of_a_trace_are_refused_with_what_proxies_take() =>
        Assert.Contains("431 to requests with headers of more than 60 KiB",
            Assert.Throws<WrongUseException>(() => SentRequest.Parse("", [$"x: {new string('a', 17000)}"], "", "")).Message, StringComparison.Ordinal);

    [Fact]
    public void A_body_longer_than_proxies_take_is_refused() =>
        Assert.Contains("--data", Assert.Throws<WrongUseException>(() => SentRequest.Parse("", [], new string('a', 9000), "")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("")]
    [InlineData("orders:0")]
    [InlineData("orders:x")]
    [InlineData("ftp://orders")]
    [InlineData("or ders")]
    [InlineData("orders/a b")]
    public void Targets_that_are_none_are_refused(string text) =>
        Assert.Contains("target", Assert.Throws<WrongUseException>(() => TraceTarget.Parse(text)).Message);
}
