using System.Net;
using System.Net.Sockets;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Kinds of faults that other proxies had with heads and messages.</summary>
public sealed class HeadKindsTests
{
    /// <summary>The body must stay the body: framing is the proxy's own.</summary>
    [Theory]
    [InlineData(""" "request_headers_to_remove": ["content-length"], """)]
    [InlineData(""" "request_headers_to_add": [{"header": {"key": "Content-Length", "value": "0"}, "append": false}], """)]
    [InlineData(""" "request_headers_to_add": [{"header": {"key": "transfer-encoding", "value": "chunked"}}], """)]
    public async Task An_edit_of_framing_makes_no_second_request(string edits)
    {
        var seen = new List<string>();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            using var body = new StreamReader(context.Request.Body);
            var text = $"{context.Request.Method} {context.Request.Path} {await body.ReadToEndAsync()}";
            lock (seen) seen.Add(text);
            await context.Response.WriteAsync("ok");
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], $$"""{{edits}} "route": {"cluster": "up", "timeout": "0s"} """);
        proxy.Endpoints("up", origin.Port);
        var hidden = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
        var text = await proxy.RawAsync(
            $"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: {hidden.Length}\r\n\r\n{hidden}GET /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        Assert.Equal(3, text.Split("HTTP/1.1 200 OK").Length);
        Assert.Equal([$"POST /a {hidden}", "GET /b "], seen);
    }

    /// <summary>Whoever looks for a request that failed finds it in the log, also where it got a reset and no answer.</summary>
    [Theory]
    [InlineData(":method GET|:scheme http|:path no/slash|:authority a", "GET 0 DPE http2.violation.of.messaging.rule{invalid_:path}\n")]
    [InlineData(":scheme http|:path /|:authority a", "- 0 DPE http2.violation.of.messaging.rule{a_request_without_method,_scheme_or_path}\n")]
    public async Task A_head_of_HTTP_2_that_resets_its_stream_is_in_the_log(string fields, string line)
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 204} """);
        byte[] all = [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Settings(),
            .. Frame(H2Frame.Headers, Whole, 1, Block(fields)), .. Get(3)];
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, proxy.Port, TestContext.Current.CancellationToken);
        await socket.SendAsync(all, SocketFlags.None);
        await Eventually.TrueAsync(() => proxy.LogText.Split('\n').Length == 3);
        Assert.Contains(line, proxy.LogText, StringComparison.Ordinal);
        Assert.Contains("GET 204 - ", proxy.LogText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_decides_before_the_body_of_a_client_that_waits()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = context.Request.Headers.Expect == "100-continue" ? 413 : 500;
            return Task.CompletedTask;
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up", "timeout": "0s"} """);
        proxy.Endpoints("up", origin.Port);
        var text = await proxy.RawAsync("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 413 ", text);
    }

    [Theory]
    [InlineData("CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", "404")]
    [InlineData("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "400")]
    [InlineData("GET / HTTP/1.1\r\nhost: \x00e4\r\n\r\n", "400")]
    public async Task One_refusal_answers_what_follows_too(string sent, string status)
    {
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "direct_response": {"status": 200} """);
        proxy.Endpoints("up");
        var text = await proxy.RawAsync(sent);
        Assert.StartsWith($"HTTP/1.1 {status} ", text);
        Assert.Equal(2, text.Split("HTTP/1.1 ").Length);
    }

    /// <summary>A path that one version refuses, the other refuses too.</summary>
    [Theory]
    [InlineData("/a\u007f")]
    [InlineData("/a\u0001")]
    [InlineData("/a\0")]
    [InlineData("/a b")]
    [InlineData("/a#b")]
    public void Both_versions_refuse_the_same_paths(string path)
    {
        var line = Encoding.Latin1.GetBytes($"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        Assert.Equal(400, Assert.Throws<HttpMessageException>(() => HeadParser.ParseRequest(line, new(), HttpLimits.Default)).Status);
        var fields = new H2HeadFields();
        fields.Begin(1);
        foreach (var (name, value) in ((string, string)[])[(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a")])
            fields.Take(Encoding.ASCII.GetBytes(name), Encoding.Latin1.GetBytes(value));
        Assert.Throws<H2StreamException>(() => fields.ToRequest(new(), isLast: true));
    }

    [Fact]
    public void Names_of_a_certificate_make_no_other_element()
    {
        var peer = new TlsPeer(["spiffe://a/b;URI=spiffe://c/d"], ["a,By=x", "b\\\"c"], "CN=a\"\\", "00", "", "", "");
        Assert.Equal(
            "Hash=00;Subject=\"CN=a\\\"\\5C\";URI=\"spiffe://a/b;URI=spiffe://c/d\";DNS=\"a,By=x\";DNS=\"b%5C\\\"c\"",
            ClientCertificateElement.Of(peer, null, new ClientCertFields(true, false, true, true)));
    }

    [Fact]
    public void A_list_keeps_its_bytes_and_a_value_cannot_become_a_field()
    {
        var block = new HeaderBlock();
        block.AddRead("x-forwarded-for"u8, [0xff, (byte)'a']);
        block.AppendElement("x-forwarded-for"u8, "1.2.3.4");
        block.Add("x"u8, "a\r\nb: c");
        Assert.Equal([0xff, (byte)'a', .. ",1.2.3.4"u8], block.Get("x-forwarded-for"u8).ToArray());
        Assert.Equal("a  b: c", block.GetString("x"u8));
    }

    /// <summary>Whatever is put into a head, it is read as one, with its own framing.</summary>
    [Fact]
    public void Whatever_a_head_gets_it_is_written_as_one() => Prop.ForAll(Arb.From(Texts()), texts =>
    {
        var head = new RequestHead { Method = "POST", Authority = "a", Body = BodyKind.Length, ContentLength = 3 };
        head.SetTarget(Encoding.Latin1.GetBytes(texts[0]));
        for (var i = 1; i + 1 < texts.Length; i += 2)
            if (HeadRules.IsToken(texts[i].AsSpan())) head.Headers.Add(Encoding.ASCII.GetBytes(texts[i]), texts[i + 1]);
        using var writer = new ByteWriter();
        writer.Write("POST "u8);
        writer.Write(head.Target);
        writer.Write(" HTTP/1.1\r\nhost: a\r\n"u8);
        HeadWriter.Request<Http1Fields>(writer, head, head.ContentLength);
        writer.Write("\r\n"u8);
        if (HeadParser.FindEnd(writer.Written.Span) != writer.Length) return false;
        var read = new RequestHead();
        HeadParser.ParseRequest(writer.Written.Span, read, HttpLimits.Default);
        return read is { Authority: "a", Body: BodyKind.Length, ContentLength: 3, ExpectsContinue: false, Upgrade: "" };
    }).MustHold(1000);

    private static Gen<string[]> Texts()
    {
        string[] parts = ["content-length", "transfer-encoding", "chunked", "host", "te", "connection", "upgrade", "x", "0", "\r\n", "\n", "\0", " ", ":", "#",
            "/", "ä", "\x7f", "close"];
        return Gen.Elements(parts).ListOf().Select(list => string.Concat(list)).ArrayOf(7);
    }
}
