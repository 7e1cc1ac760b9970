using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Streaming.Nodes;
using Isthmus.Lab.ApiServer.VirtualResources;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary><c>pods/x/log</c>: the node's answer, passed on as it comes.</summary>
internal sealed class LogResource(NodeLookup nodes) : IStreamingResource
{
    public VirtualResourceDescriptor Descriptor { get; } = StreamingResources.Describe("log", "Pod", "get");

    public async Task HandleAsync(HttpContext http, RequestAttributes attributes, JsonObject parent, CancellationToken stop)
    {
        var pod = StreamingResources.Parse(parent);
        var container = StreamingResources.ContainerOf(http, pod);
        if (pod.Spec.NodeName.Length == 0)
        {
            http.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }
        var path =
            $"/containerLogs/{pod.Metadata.Namespace}/{pod.Metadata.Name}/{container}" + StreamingResources.NodeQuery(http.Request.Query,
                [("follow", "follow", "true"), ("previous", "previous", "true"), ("timestamps", "timestamps", "true")],
                ["sinceSeconds", "sinceTime", "tailLines", "limitBytes"]);
        try
        {
            using var answer = await nodes.Find(pod.Spec.NodeName).GetAsync(path, stop);
            if (answer.StatusCode != HttpStatusCode.OK)
            {
                var message = await answer.Content.ReadAsStringAsync(stop);
                throw answer.StatusCode == HttpStatusCode.NotFound
                    ? ApiException.NotFound(Resources.Pods, pod.Metadata.Name)
                    : ApiException.BadRequest(message);
            }
            http.Response.ContentType = "text/plain";
            await http.Response.StartAsync(stop);
            await CopyAsync(await answer.Content.ReadAsStreamAsync(stop), http.Response, stop);
        }
        catch (Exception e) when (e is HttpRequestException or SocketException && !http.Response.HasStarted)
        {
            throw ApiException.Internal($"node {pod.Spec.NodeName} is not reachable: {e.Message}");
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or HttpRequestException && http.Response.HasStarted)
        {
            // One of the two ends left: so does the other.
        }
    }

    private static async Task CopyAsync(Stream from, HttpResponse to, CancellationToken stop)
    {
        var buffer = new byte[16 * 1024];
        while (await from.ReadAsync(buffer, stop) is var read and > 0)
        {
            await to.Body.WriteAsync(buffer.AsMemory(0, read), stop);
            // A follower waits for each line.
            await to.Body.FlushAsync(stop);
        }
    }
}
