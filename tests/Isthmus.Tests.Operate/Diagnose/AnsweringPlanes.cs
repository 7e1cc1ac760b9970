using Isthmus.Kubernetes.Client;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>A cluster with control planes that answer as a test says.</summary>
/// <param name="pods">Their names.</param>
/// <param name="answer">What one answers to a path; null: it is out of reach.</param>
internal sealed class AnsweringPlanes(IReadOnlyList<string> pods, Func<string, string, StandInAnswer?> answer) : ClusterStandIn
{
    /// <summary>What one that is not of Isthmus answers.</summary>
    internal static readonly StandInAnswer NoPage = new(404, "404 page not found");

    public override DateTimeOffset TakenAt => DateTimeOffset.UnixEpoch;

    internal KubeClient Client() => new(new() { Name = "here", Server = new("https://here.test"), StandIn = this });

    public override StandInAnswer Ask(string path) => path.StartsWith("/api/v1/namespaces/istio-system/pods", StringComparison.Ordinal)
        ? StandInAnswer.Ok($$"""{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [{{string.Join(", ", pods.Select(Item))}}]}""")
        : StandInAnswer.Refused(404, "NotFound", "not found");

    public override StandInAnswer AskPod(string ns, string pod, int port, PodRequest request) =>
        answer(pod, request.Path.Split('?')[0]) ?? throw new HttpRequestException("connection refused");

    private static string Item(string pod) => $$$"""
        {"metadata": {"name": "{{{pod}}}", "namespace": "istio-system", "labels": {"app": "istiod"}},
         "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        """;
}
