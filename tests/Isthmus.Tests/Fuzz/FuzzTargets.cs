using System.Net;
using System.Text;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Wire.Dns;
using Isthmus.Wire.Tls;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Fuzz;

/// <summary>A decoder of bytes that strangers send.</summary>
/// <param name="Corpus">Valid inputs, and some that are almost valid.</param>
/// <param name="Decode">Decodes an input, or refuses it in the way that its callers expect. Everything else that it throws is a
/// fault.</param>
/// <param name="IsBounded">The decoder runs in one thread, and what it allocates is in proportion to the input.</param>
internal sealed record FuzzTarget(IReadOnlyList<byte[]> Corpus, Action<byte[]> Decode, bool IsBounded = true);

/// <summary>All decoders of the proxy, by name.</summary>
internal static class FuzzTargets
{
    internal static readonly Dictionary<string, FuzzTarget> All = new(StringComparer.Ordinal)
    {
        ["http1-requests"] = new(Texts(
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "POST /x?y=1 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "PUT http://a/b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: t\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\nt: 1\r\n\r\n",
            "OPTIONS * HTTP/1.0\r\nconnection: keep-alive, upgrade\r\nupgrade: websocket\r\nexpect: 100-continue\r\n\r\n"), Requests),
        ["http1-responses"] = new(Texts(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "HTTP/1.0 304 Not Modified\r\n\r\n",
            "HTTP/1.1 200\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"),
            Response),
        ["http1-chunks"] = new(Texts("5\r\nhello\r\n0\r\n\r\n", "a;ext=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n", "ffffffff\r\n"), Chunks),
        ["http2-frames"] = new([.. Conversations()], Conversation, IsBounded: false),
        ["hpack"] = new(
            [.. ((string[])["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "400a637573746f6d2d6b65790d637573746f6d2d686561646572", "3fe11f"])
                .Select(Convert.FromHexString),
                Block("x-name value|cookie a=b|:path /x")], HeaderBlock),
        ["client-hello"] = new([.. Hellos()], bytes => ClientHello.TryRead(bytes, out _)),
        ["proxy-header"] = new(
            [.. ((ProxyProtocolVersion[])[ProxyProtocolVersion.V1, ProxyProtocolVersion.V2]).SelectMany(version => (byte[][])[
                ProxyHeader.Write(version, null), ProxyHeader.Write(version, new(new(IPAddress.Loopback, 1), new(IPAddress.Broadcast, 2))),
                ProxyHeader.Write(version, new(new(IPAddress.IPv6Loopback, 3), new(IPAddress.Any, 4)))])],
            bytes => ProxyHeader.Read(bytes, out _)),
        ["peer-exchange"] = new([PeerExchange.Introduction(ProxyIdentity.Unknown),
            [.. PeerExchange.Introduction(ProxyIdentity.Unknown), .. "the first bytes"u8]],
            Exchange),
        ["peer-metadata"] = new(Texts("CgwKBE5BTUUSBBoCdjE=", Convert.ToBase64String(new byte[100])),
            bytes => PeerMetadataText.Read(Encoding.Latin1.GetString(bytes), "spiffe://cluster.local/ns/shop/sa/web")),
        ["dns"] = new([.. Questions()], Dns),
        ["json-web-token"] = new([.. Tokens()], bytes => Use(WebToken.Parse(Encoding.Latin1.GetString(bytes)))),
        ["token-claims"] = new(Texts(
            """{"iss": "a", "sub": "b", "aud": ["c", "d"], "exp": 1700000000, "nbf": 1.5e9, "scope": "x y"}""",
            """{"exp": "soon", "nbf": -1, "aud": {"a": [1, null, true]}, "iss": 5}""",
            """{"iss": "a", "iss": "b", "crit": []}"""), bytes => Use(WebToken.Parse($"{Encode("""{"alg": "RS256", "kid": "k"}"""u8)}.{Encode(bytes)}.AAAA"))),
        ["json-web-keys"] = new(Texts(
            """
                {"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "alg": "RS256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                  "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}
                """,
            """{"keys": [{"kty": "oct", "k": "AAECAwQFBgcICQoLDA0ODxAREhM", "use": "sig"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, 1, null]}""",
            $$"""{"keys": [{"kty": "RSA", "alg": "RS256", "kid": "k", "e": "AQAB", "n": "{{new string('x', 342)}}"}], "keys": []}"""), Keys),
    };

    private static byte[][] Texts(params string[] texts) => [.. texts.Select(Encoding.Latin1.GetBytes)];

    /// <summary>However the bytes arrive, the same requests are read, or it is refused.</summary>
    private static void Requests(byte[] bytes)
    {
        var (whole, pieces) = (Read(bytes, int.MaxValue), Read(bytes, 3));
        if (whole != pieces) throw new InvalidOperationException($"'{whole}' when it arrives at once, '{pieces}' in pieces");
    }

    private static string Read(byte[] bytes, int piece)
    {
        using var stream = new Http1Downstream(new MemoryTransport(bytes, () => piece), HttpLimits.Default);
        var read = new StringBuilder();
        try
        {
            while (Wait(stream.ReadHeadAsync()))
            {
                read.Append(stream.Request.Method).Append(' ').Append(stream.Request.Authority).Append(stream.Request.TargetText)
                    .Append(stream.Request.Headers.Count).Append('\n');
                while (Wait(stream.ReadBodyAsync()) is { IsEmpty: false } body) read.Append(Encoding.Latin1.GetString(body.Span));
            }
        }
        catch (Exception e) when (e is HttpMessageException or TransportException)
        {
            read.Append("refused");
        }
        return read.ToString();
    }

    private static void Response(byte[] bytes)
    {
        try
        {
            var end = HeadParser.FindEnd(bytes);
            if (end > 0) HeadParser.ParseResponse(bytes.AsSpan(0, end), bytes.Length % 2 == 0 ? "GET" : "HEAD", new ResponseHead(), HttpLimits.Default);
        }
        catch (HttpMessageException)
        {
            // It is refused.
        }
    }

    private static void Chunks(byte[] bytes)
    {
        using var reader = new ByteReader(new MemoryTransport(bytes, () => 7));
        var body = new BodyReader(reader, HttpLimits.Default);
        body.Begin(BodyKind.Chunked, 0);
        try
        {
            while (Wait(body.ReadAsync()) is { IsEmpty: false })
            {
                // To its end.
            }
        }
        catch (HttpMessageException)
        {
            // It is refused.
        }
    }

    private static IEnumerable<byte[]> Conversations()
    {
        yield return [.. Settings((3, 10), (4, 1000)), .. Get(1), .. Post(3, "|content-length 5"), .. Data(3, 5, isLast: true), .. WindowUpdate(0, 1000)];
        yield return [.. Settings(), .. Post(1), .. WindowUpdate(1, 5), .. Data(1, 5), .. Frame(H2Frame.Headers, Whole, 1, Block("total 5")), .. Reset(1)];
        yield return [.. Settings(), .. Frame(H2Frame.Headers, H2Flags.EndStream, 1, Block(":method GET|:scheme http")),
            .. Frame(H2Frame.Continuation, H2Flags.EndHeaders, 1, Block(":path /|:authority a"))];
        yield return [.. Settings(), .. Frame(H2Frame.Ping, H2Flags.None, 0, new byte[8]), .. Frame(H2Frame.Priority, H2Flags.None, 1, new byte[5]),
            .. Frame(H2Frame.GoAway, H2Flags.None, 0, new byte[8])];
    }

    private static void Conversation(byte[] bytes)
    {
        var transport = new MemoryTransport(bytes, () => 100);
        var server = new H2Server(transport, async stream =>
        {
            try
            {
                while (!(await stream.ReadBodyAsync()).IsEmpty)
                {
                    // To its end.
                }
                await stream.SendHeadAsync(new ResponseHead { Status = 204 });
                await stream.EndAsync(null);
            }
            catch (TransportException)
            {
                // The stream ended.
            }
        });
        using var reader = new ByteReader(transport);
        if (!server.RunAsync(reader).Wait(TimeSpan.FromSeconds(30))) throw new InvalidOperationException("the connection does not end");
        if (server.StreamCount != 0) throw new InvalidOperationException("a stream outlives its connection");
        // What the server says is well-formed.
        Parse([.. transport.Written]);
    }

    private static void HeaderBlock(byte[] bytes)
    {
        try
        {
            var fields = new H2HeadFields();
            fields.Begin(1);
            var decoder = new HpackDecoder(4096, 16 * 1024);
            for (var i = 0; i < 2; i++) decoder.Decode(bytes, fields.Take);
            fields.ToRequest(new RequestHead(), isLast: true);
        }
        catch (Exception e) when (e is H2ConnectionException or H2StreamException)
        {
            // It is refused.
        }
    }

    private static IEnumerable<byte[]> Hellos()
    {
        byte[] name = [0, 0, 0, 14, 0, 12, 0, 0, 9, .. "shop.mesh"u8];
        byte[] alpn = [0, 16, 0, 8, 0, 6, 5, .. "istio"u8];
        byte[] curves = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3, 0, 43, 0, 3, 2, 3, 4];
        byte[] extensions = [.. name, .. alpn, .. curves];
        byte[] body = [3, 3, .. new byte[32], 0, 0, 2, 0x13, 1, 1, 0, 0, (byte)extensions.Length, .. extensions];
        byte[] message = [1, 0, 0, (byte)body.Length, .. body];
        yield return [22, 3, 1, 0, (byte)message.Length, .. message];
        // In two records.
        yield return [22, 3, 1, 0, 20, .. message[..20], 22, 3, 1, 0, (byte)(message.Length - 20), .. message[20..]];
    }

    private static void Exchange(byte[] bytes)
    {
        var exchange = PeerExchange.Over(new MemoryTransport(bytes, () => 5) { Client = new([], [], "", "", Alpn.IstioPeerExchange, "", "") },
            new byte[] { 1 });
        var buffer = new byte[64];
        try
        {
            while (Wait(exchange.ReadAsync(buffer)) > 0)
            {
                // To its end.
            }
        }
        catch (TransportException)
        {
            // It is refused.
        }
    }

    private static IEnumerable<byte[]> Questions()
    {
        yield return DnsMessage.Query(7, new DnsQuestion("shop.sample.svc.cluster.local", DnsType.A)).ToBytes();
        // A name that points to another, and one that points to itself.
        yield return [0, 1, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, (byte)'a', 0, 0, 1, 0, 1, 1, (byte)'b', 0xc0, 12, 0, 28, 0, 1];
        yield return [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1];
    }

    private static void Dns(byte[] bytes)
    {
        if (bytes.Length >= 12) DnsHeader.IsPlainQuery(bytes);
        if (DnsMessage.TryRead(bytes) is { } read) read.ToBytes();
    }

    private static IEnumerable<byte[]> Tokens()
    {
        var header = Encode("""{"alg": "RS256", "kid": "k", "typ": "JWT"}"""u8);
        var claims = Encode("""{"iss": "a", "sub": "b", "aud": ["c"], "exp": 1700000000}"""u8);
        yield return Encoding.ASCII.GetBytes($"{header}.{claims}.c2lnbmF0dXJl");
        yield return Encoding.ASCII.GetBytes($"{Encode("""{"alg": "none", "alg": "HS256"}"""u8)}.{claims}.");
    }

    private static void Use(WebToken? token)
    {
        if (token is null) return;
        token.WhyNotAt(DateTimeOffset.UnixEpoch.AddYears(56), TimeSpan.FromSeconds(60));
        _ = $"{token.Issuer}{token.Subject}{token.Payload}{token.Algorithm}{token.KeyId}{string.Join(',', token.Audiences)}";
    }

    private static void Keys(byte[] bytes)
    {
        if (JsonWebKeys.Parse(bytes) is not { } keys) return;
        keys.Verify(WebToken.Parse($"{Encode("""{"alg": "RS256", "kid": "k"}"""u8)}.{Encode("{}"u8)}.{Encode(new byte[256])}")!);
    }

    private static string Encode(ReadOnlySpan<byte> bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);

    private static T Wait<T>(ValueTask<T> work) => work.AsTask().GetAwaiter().GetResult();
}
