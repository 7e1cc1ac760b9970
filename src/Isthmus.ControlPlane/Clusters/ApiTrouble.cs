using Isthmus.Kubernetes.Client;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>What an API server that is away, slow or strict may do to us; everything else is a bug.</summary>
internal static class ApiTrouble
{
    internal static bool Is(Exception e, CancellationToken stop) =>
        e is KubeException or HttpRequestException or IOException or System.Text.Json.JsonException || (e is OperationCanceledException && !stop.IsCancellationRequested);
}
