using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Samples.Http;

namespace Isthmus.Samples.HttpBin;

/// <summary>Which path answers what.</summary>
internal sealed class HttpBinRoutes(TimeProvider time, Random random)
{
    private const int MaxBytes = 100 * 1024;
    private const int MaxLines = 100;
    private static readonly TimeSpan MaxDelay = TimeSpan.FromSeconds(10);

    internal HttpReply Answer(HttpRequest request)
    {
        var reply = Route(request);
        var origin = request.Header("Origin") ?? "*";
        return reply.With(new("Access-Control-Allow-Origin", origin), new("Access-Control-Allow-Credentials", "true"));
    }

    private HttpReply Route(HttpRequest request)
    {
        var words = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var method = request.Method == "HEAD" ? "GET" : request.Method;
        if (method == "OPTIONS") return Options(request);
        return words switch
        {
            [] => Only("GET", method, () => HttpReply.Text(200, Pages.Index)),
            ["get"] => Only("GET", method, () => Echo.Json(200, Echo.Describe(request, withBody: false))),
            ["post"] => Only("POST", method, () => Echo.Json(200, Echo.Describe(request, withBody: true))),
            ["put"] => Only("PUT", method, () => Echo.Json(200, Echo.Describe(request, withBody: true))),
            ["patch"] => Only("PATCH", method, () => Echo.Json(200, Echo.Describe(request, withBody: true))),
            ["delete"] => Only("DELETE", method, () => Echo.Json(200, Echo.Describe(request, withBody: true))),
            ["anything", ..] => Echo.Json(200, Echo.Describe(request, withBody: true, withMethod: true)),
            ["headers"] => Echo.Json(200, new JsonObject { ["headers"] = Echo.Headers(request) }),
            ["ip"] => Echo.Json(200, new JsonObject { ["origin"] = Echo.Origin(request) }),
            ["user-agent"] => Echo.Json(200, new JsonObject { ["user-agent"] = request.Header("User-Agent") }),
            ["uuid"] => Echo.Json(200, new JsonObject { ["uuid"] = NewUuid() }),
            ["status", var codes] => Status(codes),
            ["delay", var seconds] => Delay(request, seconds),
            ["bytes", var count] => Bytes(request, count),
            ["stream-bytes", var count] => StreamBytes(request, count),
            ["stream", var count] => Stream(request, count),
            ["range", var count] => Alphabet(count),
            ["drip"] => Drip(request),
            ["response-headers"] => ResponseHeaders(request),
            ["html"] => HttpReply.Text(200, Pages.Html),
            ["json"] => new(200, Encoding.UTF8.GetBytes(Pages.Json), "application/json"),
            ["xml"] => HttpReply.Text(200, Pages.Xml, "application/xml"),
            ["robots.txt"] => HttpReply.Text(200, "User-agent: *\nDisallow: /deny\n", "text/plain"),
            ["deny"] => HttpReply.Text(200, "You are not meant to be here.\n", "text/plain"),
            ["encoding", "utf8"] => HttpReply.Text(200, Pages.Utf8),
            ["base64", var text] => FromBase64(text),
            ["gzip" or "deflate" or "brotli"] => Compression.Answer(request, words[0]),
            ["cache"] => Access.Cache(request, time),
            ["cache", var seconds] => Access.CacheFor(request, Number(seconds, 0, int.MaxValue)),
            ["etag", var tag] => Access.ETag(request, tag),
            ["cookies", ..] => Access.Cookies(request, words[1..]),
            ["basic-auth", var user, var password] => Access.Basic(request, user, password, hidden: false),
            ["hidden-basic-auth", var user, var password] => Access.Basic(request, user, password, hidden: true),
            ["bearer"] => Access.Bearer(request),
            ["redirect" or "relative-redirect", var count] => Redirects.Relative(Number(count, 1, 100)),
            ["absolute-redirect", var count] => Redirects.Absolute(request, Number(count, 1, 100)),
            ["redirect-to"] => Redirects.To(request),
            _ => NotFound(),
        };
    }

    private static HttpReply Only(string wanted, string method, Func<HttpReply> answer) =>
        method == wanted
            ? answer()
            : HttpReply.Text(405, "<title>405 Method Not Allowed</title>\n<h1>Method Not Allowed</h1>\n")
                .With(new KeyValuePair<string, string>("Allow", wanted));

    private static HttpReply NotFound() => HttpReply.Text(404, "<title>404 Not Found</title>\n<h1>Not Found</h1>\n");

    private static HttpReply Options(HttpRequest request) => HttpReply.Text(200, "").With(
        new("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        new("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, PATCH, OPTIONS"),
        new("Access-Control-Max-Age", "3600"),
        new("Access-Control-Allow-Headers", request.Header("Access-Control-Request-Headers") ?? "*"));

    /// <summary>One code, or several with weights (<c>200:3,503:1</c>), of which one is chosen at random.</summary>
    private HttpReply Status(string codes)
    {
        var choices = new List<(int Code, double Weight)>();
        foreach (var part in codes.Split(','))
        {
            var pair = part.Split(':', 2);
            var weight = 1.0;
            if (pair.Length == 2 && !double.TryParse(pair[1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out weight))
                throw new BadRequestException(400, "Invalid status code");
            choices.Add((Number(pair[0], 100, 999), weight));
        }
        var at = random.NextDouble() * choices.Sum(choice => choice.Weight);
        var code = choices[^1].Code;
        foreach (var choice in choices)
        {
            if ((at -= choice.Weight) >= 0) continue;
            code = choice.Code;
            break;
        }
        // 1xx is not a final response: a client would keep waiting.
        if (code < 200) throw new BadRequestException(400, "Invalid status code");
        return code switch
        {
            301 or 302 or 303 or 305 or 307 => HttpReply.Text(code, "").With(new KeyValuePair<string, string>("Location", "/redirect/1")),
            401 => HttpReply.Text(code, "").With(new KeyValuePair<string, string>("WWW-Authenticate", "Basic realm=\"Fake Realm\"")),
            406 => HttpReply.Text(code, "{\"message\": \"Client did not request a supported media type.\"}", "application/json"),
            407 => HttpReply.Text(code, "").With(new KeyValuePair<string, string>("Proxy-Authenticate", "Basic realm=\"Fake Realm\"")),
            418 => HttpReply.Text(code, "    I'm a teapot\n", "text/plain")
                .With(new KeyValuePair<string, string>("x-more-info", "http://tools.ietf.org/html/rfc2324")),
            _ => HttpReply.Text(code, ""),
        };
    }

    private static HttpReply Delay(HttpRequest request, string seconds)
    {
        if (!double.TryParse(seconds, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var wait))
            throw new BadRequestException(400, "The delay is not a number of seconds.");
        return Echo.Json(200, Echo.Describe(request, withBody: true)) with { Delay = TimeSpan.FromSeconds(Math.Min(wait, MaxDelay.TotalSeconds)) };
    }

    private HttpReply Bytes(HttpRequest request, string count)
    {
        var bytes = new byte[Number(count, 0, MaxBytes, clamp: true)];
        Chance(request).NextBytes(bytes);
        return new(200, bytes, "application/octet-stream");
    }

    private HttpReply StreamBytes(HttpRequest request, string count)
    {
        var bytes = Bytes(request, count).Body;
        var size = Math.Max(1, Parameter(request, "chunk_size", 10 * 1024));
        return new(200, default, "application/octet-stream") { Pieces = Cut(bytes, size) };
    }

    private static HttpReply Stream(HttpRequest request, string count)
    {
        var lines = Number(count, 0, MaxLines, clamp: true);
        var described = Echo.Describe(request, withBody: false);
        return new(200, default, "application/json")
        {
            Pieces = Enumerable.Range(0, lines).Select(id =>
            {
                described["id"] = id;
                return new ReadOnlyMemory<byte>(Echo.Print(described));
            }),
        };
    }

    private static HttpReply Alphabet(string count)
    {
        var bytes = new byte[Number(count, 1, MaxBytes, clamp: true)];
        for (var i = 0; i < bytes.Length; i++) bytes[i] = (byte)('a' + (i % 26));
        return new HttpReply(200, bytes, "application/octet-stream").With(new("ETag", $"range{bytes.Length}"), new("Accept-Ranges", "bytes"));
    }

    private static HttpReply Drip(HttpRequest request)
    {
        var count = Math.Clamp(Parameter(request, "numbytes", 10), 1, 10 * 1024 * 1024);
        var duration = Math.Clamp(Parameter(request, "duration", 2), 0, 60);
        var delay = Math.Clamp(Parameter(request, "delay", 2), 0, 60);
        return new(Math.Clamp(Parameter(request, "code", 200), 200, 599), default, "application/octet-stream")
        {
            Delay = TimeSpan.FromSeconds(delay), PiecesLength = count, Pause = TimeSpan.FromSeconds((double)duration / count),
            Pieces = Enumerable.Repeat(new ReadOnlyMemory<byte>("*"u8.ToArray()), count),
        };
    }

    private static HttpReply ResponseHeaders(HttpRequest request)
    {
        var described = Echo.Pairs(request.Query());
        described["Content-Type"] = "application/json";
        // The description contains its own length: it settles after a few rounds.
        for (var length = -1; length != Echo.Json(200, described).Body.Length;)
        {
            length = Echo.Json(200, described).Body.Length;
            described["Content-Length"] = length.ToString(CultureInfo.InvariantCulture);
        }
        var safe = request.Query().Where(pair => pair.Key.Length > 0 && pair.Key.All(c => c is > ' ' and < '\x7f' and not ':'));
        return Echo.Json(200, described).With([.. safe.Where(pair => !pair.Key.StartsWith("Content-", StringComparison.OrdinalIgnoreCase))]);
    }

    private static HttpReply FromBase64(string text)
    {
        var padded = text.Replace('-', '+').Replace('_', '/');
        padded += new string('=', (4 - (padded.Length % 4)) % 4);
        var bytes = new byte[padded.Length];
        return Convert.TryFromBase64String(padded, bytes, out var count)
            ? new(200, bytes.AsMemory(0, count), "text/html; charset=utf-8")
            : HttpReply.Text(200, "Incorrect Base64 data try: SFRUUEJJTiBpcyBhd2Vzb21l");
    }

    private Random Chance(HttpRequest request) =>
        int.TryParse(request.Query("seed"), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seed) ? new Random(seed) : random;

    private string NewUuid()
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        (bytes[6], bytes[8]) = ((byte)((bytes[6] & 0x0f) | 0x40), (byte)((bytes[8] & 0x3f) | 0x80));
        return new Guid(bytes, bigEndian: true).ToString();
    }

    private static int Parameter(HttpRequest request, string name, int otherwise) =>
        request.Query(name) is { } text && double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            ? (int)Math.Min(number, int.MaxValue) : otherwise;

    private static IEnumerable<ReadOnlyMemory<byte>> Cut(ReadOnlyMemory<byte> bytes, int size)
    {
        for (var at = 0; at < bytes.Length; at += size) yield return bytes.Slice(at, Math.Min(size, bytes.Length - at));
    }

    private static int Number(string text, int least, int most, bool clamp = false)
    {
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            throw new BadRequestException(400, $"'{text}' is not a number.");
        if (clamp) return Math.Clamp(number, least, most);
        return number >= least && number <= most ? number : throw new BadRequestException(400, $"'{text}' is not between {least} and {most}.");
    }
}
