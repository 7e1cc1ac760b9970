using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Traffic;
using Isthmus.Reports;

namespace Isthmus.Proxy.Trace;

/// <summary>Makes a traced call as a gRPC client does: HTTP/2 without TLS, and one empty message.</summary>
internal static class GrpcCall
{
    private const int MessageHead = 5;

    public static async Task RunAsync(CallRequest call, Socket client, CallReport result, CancellationToken stop)
    {
        using var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            ConnectCallback = (_, _) => ValueTask.FromResult<Stream>(new NetworkStream(client, ownsSocket: false)),
        };
        using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        using var request = new HttpRequestMessage(new HttpMethod(call.Method), new Uri($"http://{call.Authority}{call.Path}"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(new byte[MessageHead]),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TE.Add(new("trailers"));
        request.Headers.TryAddWithoutValidation("user-agent", "isthmus-trace");
        request.Headers.TryAddWithoutValidation(Encoding.ASCII.GetString(RecentTraffic.Mark), call.Id);
        foreach (var header in call.Headers)
            if (header.Split(':', 2) is [var name, var value]) request.Headers.TryAddWithoutValidation(name, value.Trim());
        using var response = await http.SendAsync(request, stop).ConfigureAwait(false);
        result.Status = (int)response.StatusCode;
        result.Headers = response.Headers.ToDictionary(header => header.Key, header => string.Join(", ", header.Value));
        // A response without messages has its status in the head.
        if ((Find(response.TrailingHeaders, "grpc-status") ?? Find(response.Headers, "grpc-status")) is { } status
            && int.TryParse(status, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            result.GrpcStatus = number;
        if ((Find(response.TrailingHeaders, "grpc-message") ?? Find(response.Headers, "grpc-message")) is { } message) result.GrpcMessage = message;
    }

    private static string? Find(HttpResponseHeaders headers, string name) => headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;
}
