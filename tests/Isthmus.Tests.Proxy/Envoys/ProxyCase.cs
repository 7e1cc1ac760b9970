namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>
/// A request as it is on the wire, and what the server answers. A vertical bar stands for CR and LF, <c>‖</c> for a vertical bar.
/// <para>A request is divided by <c>[head]</c>, which waits for the head of an answer, and may end with <c>[end]</c>, which closes the sending side.
/// One that begins with <c>h2 </c> is fields of HTTP/2, as in <see cref="Http.H2Frames.Block"/>, then a body and trailers, each after <c>||</c>.</para>
/// <para>An answer may begin with <c>[early]</c>: it comes without reading the body. It may end with <c>[close]</c>, <c>[reset]</c>, or <c>[echo]</c>:
/// what comes next is sent back, and then it closes. Answers to a first, a second … attempt are divided by <c>[next]</c>; the last stands
/// for all that follow. Empty: the server reads, and never answers; <c>[stopped]</c>: not even with frames of HTTP/2 that belong to the connection.</para>
/// </summary>
internal sealed record ProxyCase(string Name, string Setting, string Request, string Answer = ProxyCase.Ok)
{
    internal const string Ok = "HTTP/1.1 200 OK|content-length: 2||ok";

    internal static byte[] Bytes(string text) =>
        System.Text.Encoding.Latin1.GetBytes(text.Replace("|", "\r\n", StringComparison.Ordinal).Replace('‖', '|'));

    internal static string Text(ReadOnlySpan<byte> bytes) => System.Text.Encoding.Latin1.GetString(bytes);
}
