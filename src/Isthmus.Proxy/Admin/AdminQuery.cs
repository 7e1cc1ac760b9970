using System.Net;
using Isthmus.Core.Net;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Admin;

/// <summary>Requests to endpoints on the loopback of a Pod.</summary>
internal static class AdminQuery
{
    /// <summary>The answer to a web page of another site; null: the request may be served.</summary>
    /// <param name="own">The address of this Pod; null if unknown.</param>
    public static AdminReply? Refusal(RequestHead request, IPAddress? own) =>
        LoopbackRequest.Refusal(request.Authority, request.Headers.GetString("origin"u8) ?? "", request.Headers.GetString("sec-fetch-site"u8) ?? "", own)
            is { } refusal ? AdminReply.Text($"{refusal}\n", 403) : null;

    public static bool IsPost(RequestHead request) => request.Method == "POST";

    public static (string Path, Dictionary<string, string> Query) Read(RequestHead request)
    {
        var target = request.TargetText;
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var query = new Dictionary<string, string>(StringComparer.Ordinal);
        if (question < 0) return (target, query);
        foreach (var pair in target[(question + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            query[Uri.UnescapeDataString(equals < 0 ? pair : pair[..equals])] = equals < 0 ? "" : Uri.UnescapeDataString(pair[(equals + 1)..]);
        }
        return (target[..question], query);
    }
}
