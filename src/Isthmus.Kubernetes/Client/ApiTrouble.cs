using System.Text.Json;

namespace Isthmus.Kubernetes.Client;

/// <summary>Failures of a request that the next attempt may not have: an API server that is away, slow or refuses. Everything else is a bug.</summary>
public static class ApiTrouble
{
    public static bool Is(Exception e, CancellationToken stop) =>
        e is KubeException or HttpRequestException or IOException or JsonException || (e is OperationCanceledException && !stop.IsCancellationRequested);
}
