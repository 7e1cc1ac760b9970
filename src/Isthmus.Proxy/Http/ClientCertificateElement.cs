using System.Text;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>
/// What <c>x-forwarded-client-cert</c> says of one hop. The names are whatever somebody wrote into a certificate: they are quoted as Envoy specifies, so
/// that none of them looks like another key or element.
/// </summary>
internal static class ClientCertificateElement
{
    /// <param name="own">The identity of this proxy; null or empty: none.</param>
    public static string Of(TlsPeer peer, string? own, ClientCertFields fields)
    {
        var element = new StringBuilder();
        if (!string.IsNullOrEmpty(own)) Append(element.Append("By="), own, "%5C").Append(';');
        element.Append("Hash=").Append(peer.Sha256);
        if (fields.Cert) element.Append(";Cert=\"").Append(Uri.EscapeDataString(peer.Pem + "\n")).Append('"');
        if (fields.Subject) Quote(element.Append(";Subject="), peer.Subject, "\\5C");
        if (fields.Uri) Append(element.Append(";URI="), peer.Identity, "%5C");
        if (fields.Dns)
            foreach (var name in peer.DnsNames) Append(element.Append(";DNS="), name, "%5C");
        return element.ToString();
    }

    private static StringBuilder Append(StringBuilder element, string value, string backslash) =>
        value.AsSpan().IndexOfAny(",;=\"\\") < 0 ? element.Append(value) : Quote(element, value, backslash);

    /// <param name="backslash">What stands for a backslash: readers differ in what one does, but for those before quotes.</param>
    private static StringBuilder Quote(StringBuilder element, string value, string backslash)
    {
        element.Append('"');
        foreach (var c in value)
        {
            if (c == '\\') element.Append(backslash);
            else if (c == '"') element.Append("\\\"");
            else element.Append(c);
        }
        return element.Append('"');
    }
}
