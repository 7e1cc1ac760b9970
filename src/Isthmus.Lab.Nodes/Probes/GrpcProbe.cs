using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Probes;

/// <summary>grpc.health.v1.Health/Check without a gRPC library: one string out, one enum back.</summary>
internal static class GrpcProbe
{
    private const int Serving = 1, HeaderSize = 5;
    private const uint ServiceTag = 1 << 3 | 2, StatusTag = 1 << 3;

    internal static async Task<ProbeResult> AskAsync(string podIp, GrpcAction grpc, CancellationToken stop)
    {
        // A new connection for each attempt, as in Kubernetes: a persistent one would reach the previous process.
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false })
        {
            Timeout = Timeout.InfiniteTimeSpan
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"http://{podIp}:{grpc.Port}/grpc.health.v1.Health/Check"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(Question(grpc.Service)),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TryAddWithoutValidation("te", "trailers");
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseContentRead, stop);
        var body = await response.Content.ReadAsByteArrayAsync(stop);
        var code = Header(response.TrailingHeaders) ?? Header(response.Headers);
        if (code is not null and not "0") return new(false, $"health rpc failed with code {code}");
        return Status(body) == Serving ? new(true, "") : new(false, $"service unhealthy (responded with status {Status(body)})");
    }

    private static byte[] Question(string service)
    {
        using var message = new MemoryStream();
        using (var output = new CodedOutputStream(message, leaveOpen: true))
        {
            if (service.Length > 0)
            {
                output.WriteTag(ServiceTag);
                output.WriteString(service);
            }
        }
        var framed = new byte[HeaderSize + message.Length];
        BinaryPrimitives.WriteUInt32BigEndian(framed.AsSpan(1), (uint)message.Length);
        message.ToArray().CopyTo(framed, HeaderSize);
        return framed;
    }

    private static int Status(byte[] body)
    {
        if (body.Length <= HeaderSize) return 0;
        var input = new CodedInputStream(body[HeaderSize..]);
        while (input.ReadTag() is var tag and not 0)
        {
            if (tag == StatusTag) return input.ReadEnum();
            input.SkipLastField();
        }
        return 0;
    }

    private static string? Header(HttpResponseHeaders headers) => headers.TryGetValues("grpc-status", out var values) ? values.FirstOrDefault() : null;
}
