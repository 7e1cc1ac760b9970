using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Client;

/// <summary>Answers in place of a cluster, for example from a file: what reads the cluster does not notice the difference. It answers reads only.</summary>
public abstract class ClusterStandIn
{
    /// <summary>When the cluster was as this says.</summary>
    public abstract DateTimeOffset TakenAt { get; }

    /// <summary>The answer to a GET request to the API server, with its query.</summary>
    /// <exception cref="HttpRequestException">The cluster did not answer.</exception>
    public abstract StandInAnswer Ask(string path);

    /// <summary>The answer of a port on a Pod's loopback address.</summary>
    /// <exception cref="HttpRequestException">The Pod did not answer.</exception>
    public abstract StandInAnswer AskPod(string ns, string pod, int port, PodRequest request);

    internal HttpMessageHandler CreateHandler() => new Handler(this);

    private sealed class Handler(ClusterStandIn cluster) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var answer = request.Method == HttpMethod.Get
                ? cluster.Ask(request.RequestUri!.PathAndQuery)
                : StandInAnswer.Refused(405, "MethodNotAllowed", "what stands in for the cluster can only be read");
            return Task.FromResult(new HttpResponseMessage((HttpStatusCode)answer.Status)
            {
                RequestMessage = request, Content = new StringContent(answer.Body, Encoding.UTF8, "application/json")
            });
        }
    }
}

/// <summary>What a stand-in answers.</summary>
public sealed record StandInAnswer(int Status, string Body)
{
    public static StandInAnswer Ok(string body) => new(200, body);

    /// <summary>A failure, as API servers report it (meta/v1 Status).</summary>
    public static StandInAnswer Refused(int code, string reason, string message) => new(code, new JsonObject
    {
        ["kind"] = "Status", ["apiVersion"] = "v1", ["status"] = "Failure", ["reason"] = reason, ["message"] = message, ["code"] = code,
    }.ToJsonString());
}
