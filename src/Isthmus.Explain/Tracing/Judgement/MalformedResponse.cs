using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>The application speaks HTTP/1.1, and its response is one that proxies do not accept. Clients without a proxy may be less strict.</summary>
internal static class MalformedResponse
{
    /// <summary>What proxies say in the details of a response, and what the application did (RFC 9112, sections 5 to 7).</summary>
    private static readonly (string Detail, string Says, string Remedy)[] Known =
    [
        ("invalid_transfer_encoding", "a Transfer-Encoding other than one \"chunked\"",
            "do not set the header in the application: the framework sets it, and twice is too often"),
        ("content_length_and_chunked_not_allowed", "Content-Length and Transfer-Encoding both", "send one of the two headers"),
        ("invalid_content_length", "a Content-Length that is not one number", "send it once, with the length of the body"),
        ("invalid_header_name", "a header whose name has a character that names cannot have", "correct the name: letters, digits and hyphens"),
        ("invalid_characters", "a header with a character that headers cannot have", "encode the value"),
        ("too_many_headers", "too many headers", "send fewer"),
        ("upgrade_not_asked_for", "101 Switching Protocols, for which the request did not ask", "answer with another status"),
        ("invalid_chunk", "a body whose chunks are malformed", "let the framework write the chunks"),
    ];

    /// <param name="details">What the callee's proxy says of the response.</param>
    /// <param name="told">The same, with its flags.</param>
    public static Problem? Of(PodRef callee, string details, string told)
    {
        if (details.Contains("headers_too_large", StringComparison.Ordinal))
            return Faults.Of("ISM2091", callee.ToString(), "",
                $"its application answers with more than {ProxyDecisions.LongestHead / 1024} KiB of headers, which proxies do not accept ({told})",
                "shorten the headers of the response: often cookies, tokens or lists that belong in the body");
        if (details.Contains("after_response_started", StringComparison.Ordinal))
            return Faults.Of("ISM2074", callee.ToString(), "",
                $"its application ended the connection within its response, which had begun ({told}): it crashed or was ended, or its Content-Length is not "
                    + "that of the body",
                $"kubectl --context={callee.Context} -n {callee.Namespace} logs {callee.Name}; without a reason there, compare Content-Length with the body");
        return Known.FirstOrDefault(one => details.Contains($"http1.{one.Detail}", StringComparison.Ordinal)) is ({ Length: > 0 }, var says, var remedy)
            ? Faults.Of("ISM2177", callee.ToString(), "",
                $"its application answers with {says}, which HTTP does not allow and proxies do not accept: the response is 502 ({told})", remedy)
            : null;
    }
}
