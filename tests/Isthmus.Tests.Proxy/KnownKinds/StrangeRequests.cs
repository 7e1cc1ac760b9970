namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>A request as its bytes, and what a server should read of it.</summary>
internal sealed record StrangeRequest(string Text, string Target, string Body, (string Name, string Value)[] Fields);

/// <summary>Requests with unusual parts, for servers whose parsers are not the proxy's own.</summary>
internal static class StrangeRequests
{
    private static readonly string[] Values = ["a", "0", " ", "\t", ",", ";", ":", "\"", "\\", "ä", "ÿ", "\x80", "\x7f", "\x1b[2J", "\0",
        "\r", "\n", "\r\n ", "\r\ncontent-length: 0", "chunked", "%0d%0a"];
    private static readonly string[] Names = ["a", "-", "_", "!", "#", "'", "`", "~", "|", " ", "\t", "\0", "ä", "(", "\"", "content-length",
        "transfer-encoding"];
    // Bytes above 0x7F are passed on, as by Envoy; Node ends such a connection.
    private static readonly string[] Targets = ["a", "?", "b=c", ";d", "{", "|", "\"", "\x7f", "\0", " ", "#", "\t", "&", "^"];
    private static readonly string[] Authorities = ["b", ".", ":80", "[::1]", "@", "/", "ä", " ", "_", "%41", ","];

    /// <param name="hosts">Whether hosts are unusual, too.</param>
    internal static IEnumerable<StrangeRequest> Take(int count, bool hosts = true)
    {
        var random = new Random(46);
        for (var round = 0; round < count; round++)
        {
            // Most parts of most requests are ordinary: else one bad part would hide the others.
            string Some(string[] parts, string usual) => random.Next(3) > 0 ? usual : string.Concat(random.GetItems(parts, random.Next(1, 4)));
            var target = "/" + Some(Targets, "x");
            var body = random.Next(2) == 0 ? "" : "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
            (string Name, string Value)[] fields = [("x-in", Some(Values, "v")), ("z" + Some(Names, "n"), Some(Values, "w"))];
            var text = $"POST {target} HTTP/1.1\r\nhost: {(hosts ? Some(Authorities, "a") : "a")}\r\n"
                + string.Concat(fields.Select(field => $"{field.Name}: {field.Value}\r\n"))
                + $"content-length: {body.Length}\r\nconnection: close\r\n\r\n{body}";
            // What follows would be another request of the client's own.
            if (text.IndexOf("\r\n\r\n", StringComparison.Ordinal) >= text.Length - body.Length - 4) yield return new(text, target, body, fields);
        }
    }
}
