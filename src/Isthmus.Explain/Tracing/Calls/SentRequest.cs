using Isthmus.Core.Collections;
using Isthmus.Core.Flags;

namespace Isthmus.Explain.Tracing.Calls;

/// <summary>What the caller sends, besides the path.</summary>
/// <param name="Method">Empty for the usual one: GET, or POST with a body.</param>
public sealed record SentRequest(string Method, ValueList<SentHeader> Headers, string Body)
{
    public static readonly SentRequest Plain = new("", [], "");

    private const int LongestBody = 8 * 1024, LongestHeaders = 16 * 1024, MostOfProxies = 60;

    /// <summary>Headers of the connection and of the message's length, which whoever sends the message writes.</summary>
    private static readonly HashSet<string> Framing = ["connection", "content-length", "transfer-encoding", "te", "upgrade"];

    /// <summary>It asks to go on as a WebSocket.</summary>
    public bool IsWebSocket { get; private init; }

    /// <summary>The values of <c>-X</c>, <c>-H</c>, <c>-d</c> and <c>--jwt</c>.</summary>
    /// <param name="token">A JSON Web Token to send as a bearer token; empty for none.</param>
    /// <exception cref="WrongUseException">A value cannot be sent.</exception>
    public static SentRequest Parse(string method, IEnumerable<string> headers, string body, string token)
    {
        if (!method.All(IsToken)) throw new WrongUseException("--method", $"'{method}' is not an HTTP method", "give a method such as POST");
        if (body.Length > LongestBody)
            throw new WrongUseException("--data", $"has {body.Length} characters, and the longest body of a trace has {LongestBody}", "send less");
        var list = headers.Select(SentHeader.Parse).ToList();
        if (token.Length > 0) list.Add(SentHeader.Parse($"authorization: Bearer {token.Trim()}"));
        var isWebSocket = list.RemoveAll(header => header.Name == "upgrade" && header.Value.Equals("websocket", StringComparison.OrdinalIgnoreCase)) > 0;
        if (isWebSocket) list.RemoveAll(header => header.Name is "connection" or "sec-websocket-key" or "sec-websocket-version");
        if (list.Find(header => Framing.Contains(header.Name)) is { } framing)
            throw new WrongUseException("--header", $"a trace cannot send '{framing.Name}: {framing.Value}', because it frames its message itself",
                "leave it out; for a WebSocket, call ws://HOST");
        if (list.Sum(header => header.Name.Length + header.Value.Length) is > LongestHeaders and var length)
            throw new WrongUseException("--header", $"has {length} characters in all headers, and a trace sends at most {LongestHeaders}",
                $"send less; proxies answer 431 to requests with headers of more than {MostOfProxies} KiB in all, unless an EnvoyFilter allows more");
        return new(method.ToUpperInvariant(), list.ToValueList(), body) { IsWebSocket = isWebSocket };
    }

    /// <summary>Refuses what a call of the target would not send.</summary>
    /// <exception cref="WrongUseException">Something would be left out.</exception>
    public void CheckFor(TraceTarget target)
    {
        if (target.Scheme == "tcp" && (Method.Length > 0 || Headers.Count > 0))
            throw new WrongUseException(Method.Length > 0 ? "--method" : "--header", "does not go with tcp://, which sends no request (and --jwt is a header)",
                "leave it out; --data sends bytes");
        if (target.Scheme == "grpc" && Body.Length > 0)
            throw new WrongUseException("--data", "does not go with grpc://: the trace sends an empty message", "leave it out");
    }

    internal static bool IsToken(char c) => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal);
}

/// <param name="Name">In lower case.</param>
public sealed record SentHeader(string Name, string Value)
{
    /// <exception cref="WrongUseException">The text does not have the form <c>NAME: VALUE</c>.</exception>
    public static SentHeader Parse(string text)
    {
        var (name, value) = text.Split(':', 2) is [var left, var right] ? (left.Trim(), right.Trim()) : ("", "");
        if (name.Length == 0 || !name.All(SentRequest.IsToken))
            throw new WrongUseException("--header", $"'{text}' does not have the form NAME: VALUE", "for example -H 'x-user: ann'");
        if (value.Any(c => c is < ' ' or '\u007f'))
            throw new WrongUseException("--header", $"the value of {name} has a control character", "give it in one line");
        return new(name.ToLowerInvariant(), value);
    }
}
