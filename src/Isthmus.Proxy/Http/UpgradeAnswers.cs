using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Http;

/// <summary>What a server may answer to a request that asks for another protocol, or does not.</summary>
internal static class UpgradeAnswers
{
    /// <param name="request">As it was sent.</param>
    /// <param name="response">As it arrived.</param>
    /// <param name="isSending">The body of the request is still on its way.</param>
    /// <exception cref="HttpMessageException">The answer must not reach the client.</exception>
    public static void Check(RequestHead request, ResponseHead response, bool isSending)
    {
        if (response.Status == 101 && request.Upgrade.Length == 0) throw new HttpMessageException(502, "http1.upgrade_not_asked_for");
        // The rest of the body would become a part of the other protocol.
        if (response.IsTunnel && isSending) throw new HttpMessageException(502, "http1.upgrade_before_end_of_request");
        if (request.Upgrade.Length == 0 || request.Version != HttpVersions.Http2) return;
        // A server of HTTP/1.1 may ignore the wish, and answer the request. To a client of HTTP/2 its status would say that it agrees.
        if (!response.IsTunnel && response.Status is >= 200 and < 300)
            throw new HttpMessageException(502, "http1.upgrade_ignored_by_the_host") { BlamesHost = false };
        if (!WebSocketFields.IsProven(request, response)) throw new HttpMessageException(502, "http1.websocket_without_proof") { BlamesHost = false };
    }
}
