using System.Net;

namespace Isthmus.Core.Net;

/// <summary>
/// Tells programs from web pages at a port of the loopback interface. A page in a browser on the same machine, or one that
/// reaches the port through a forward, can send requests there: with its own name in <c>Host</c> when its DNS name leads to the
/// loopback address (DNS rebinding), else with its origin.
/// </summary>
public static class LoopbackRequest
{
    /// <summary>Why the request is refused; null when it may be served.</summary>
    /// <param name="host">The Host header, perhaps with a port.</param>
    /// <param name="origin">The Origin header; empty for none.</param>
    /// <param name="fetchSite">The Sec-Fetch-Site header; empty for none.</param>
    /// <param name="own">The address of this Pod; null if unknown.</param>
    public static string? Refusal(string host, string origin, string fetchSite, IPAddress? own)
    {
        if (host.Length > 0 && !IsLocal(host, own)) return $"Host '{host}' is not this host: use localhost or 127.0.0.1";
        if (origin.Length > 0 && !(Uri.TryCreate(origin, UriKind.Absolute, out var page) && IsLocal(page.Authority, own)))
            return $"Origin '{origin}' is another site: web pages cannot use this port";
        return fetchSite is "" or "same-origin" or "none" ? null : $"Sec-Fetch-Site is '{fetchSite}': web pages of other sites cannot use this port";
    }

    private static bool IsLocal(string host, IPAddress? own)
    {
        var name = host.StartsWith('[') ? host[1..].Split(']')[0] : host.Split(':')[0];
        return name.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(name, out var address) && (IPAddress.IsLoopback(address) || address.Equals(own)));
    }
}
