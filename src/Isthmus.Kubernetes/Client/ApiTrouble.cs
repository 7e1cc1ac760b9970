using System.Text.Json;

namespace Isthmus.Kubernetes.Client;

/// <summary>Request failures that the next attempt may not have: the API server is away, slow, or rejects the request.
/// Everything else is a bug.</summary>
public static class ApiTrouble
{
    public static bool Is(Exception e, CancellationToken stop) =>
        e is KubeException or HttpRequestException or IOException or JsonException || (e is OperationCanceledException && !stop.IsCancellationRequested);
}
