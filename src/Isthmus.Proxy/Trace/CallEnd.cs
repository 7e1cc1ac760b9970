using System.Net.Http;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Isthmus.Proxy.Trace;

/// <summary>What a call met instead of an answer, in words for people who do not know what the program is written in.</summary>
internal static class CallEnd
{
    private const string Closed = "the connection was closed without an answer";

    public static string Told(Exception error)
    {
        var last = error;
        for (var inner = error; inner is not null; inner = inner.InnerException)
        {
            if (inner is SocketException socket) return OfSocket(socket.SocketErrorCode);
            last = inner;
        }
        return error switch
        {
            AuthenticationException { InnerException: null } => "the answer is not TLS",
            AuthenticationException => $"the TLS handshake failed{Reason(last.Message)}",
            HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse } => "the answer is not HTTP/2",
            HttpRequestException { InnerException: HttpProtocolException { ErrorCode: var code } } =>
                string.Create(System.Globalization.CultureInfo.InvariantCulture, $"the other end ended the call with error {code} of HTTP/2"),
            HttpProtocolException { ErrorCode: var code } =>
                string.Create(System.Globalization.CultureInfo.InvariantCulture, $"the other end ended the call with error {code} of HTTP/2"),
            _ => Closed,
        };
    }

    /// <summary>OpenSSL puts the reason behind its own numbers and names.</summary>
    private static string Reason(string message) => message.LastIndexOf("::", StringComparison.Ordinal) is >= 0 and var at ? $": {message[(at + 2)..]}" : "";

    private static string OfSocket(SocketError error) => error switch
    {
        SocketError.ConnectionReset => "the connection was reset before there was an answer",
        SocketError.ConnectionAborted or SocketError.Shutdown or SocketError.OperationAborted => Closed,
        SocketError.ConnectionRefused => "the connection was refused",
        SocketError.TimedOut => "the other end does not answer at all",
        SocketError.NetworkUnreachable or SocketError.HostUnreachable => "no route leads there",
        _ => $"the connection failed: {error}",
    };
}
