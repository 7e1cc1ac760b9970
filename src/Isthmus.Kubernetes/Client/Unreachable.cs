using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Isthmus.Kubernetes.Client;

/// <summary>Describes in a few words why an API server did not respond.</summary>
public static partial class Unreachable
{
    public static string Describe(HttpRequestException e) => e switch
    {
        // The runtime describes the proxy and its response in its own words, with an odd quotation mark at the end.
        { HttpRequestError: HttpRequestError.ProxyTunnelError }
            => $"the HTTP proxy to it{Quoted(e.Message)}, proxy-url of the kubeconfig or HTTPS_PROXY, cannot reach it",
        { InnerException: SocketException socket } => Describe(socket),
        { InnerException: OperationCanceledException or TimeoutException } => "no answer in time",
        { HttpRequestError: HttpRequestError.SecureConnectionError, InnerException: { } cause } => $"no TLS connection: {OfTls(cause.Message)}",
        _ => (e.InnerException?.Message ?? e.Message).TrimEnd('.', '"'),
    };

    private static string Describe(SocketException e) => e.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => "connection refused",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => "no route to it",
        SocketError.TimedOut => "no answer in time",
        SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain => "its name has no address",
        _ => e.Message.TrimEnd('.'),
    };

    /// <summary>The runtime names what is wrong with a certificate by words of its own.</summary>
    private static string OfTls(string message) =>
        message.Contains("NotTimeValid", StringComparison.Ordinal) ? "its certificate has expired, or is not valid yet"
        : message.Contains("PartialChain", StringComparison.Ordinal) || message.Contains("UntrustedRoot", StringComparison.Ordinal)
            ? "its certificate is not of the CA in certificate-authority-data of the kubeconfig"
        : message.Contains("RemoteCertificateNameMismatch", StringComparison.Ordinal) ? "its certificate is for another name or address than this one"
        : message.TrimEnd('.');

    private static string Quoted(string message) => ProxyAddress().Match(message) is { Success: true } found ? $" ({found.Value.TrimEnd('/')})" : "";

    [GeneratedRegex("https?://[^' ]+")]
    private static partial Regex ProxyAddress();
}
