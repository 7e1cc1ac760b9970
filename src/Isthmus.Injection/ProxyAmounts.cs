using System.Numerics;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Injection;

/// <summary>CPU and memory of the proxy, as annotations of a Pod say it.</summary>
public static class ProxyAmounts
{
    /// <summary>Each resource with the annotations of its request and of its limit.</summary>
    internal static readonly (string Resource, string Request, string Limit)[] All =
    [
        ("cpu", "sidecar.istio.io/proxyCPU", "sidecar.istio.io/proxyCPULimit"), ("memory", "sidecar.istio.io/proxyMemory", "sidecar.istio.io/proxyMemoryLimit"),
    ];

    /// <summary>The first value with which an API server refuses the Pod; null if there is none.</summary>
    /// <param name="annotation">The value of an annotation.</param>
    public static (string Annotation, string Value, string Why)? Fault(Func<string, string?> annotation)
    {
        foreach (var (resource, request, limit) in All)
        {
            foreach (var name in (string[])[request, limit])
            {
                if (annotation(name) is { Length: > 0 } value && !(Quantity.Nanos(value) is { } amount && amount >= BigInteger.Zero))
                    return (name, value, $"is not an amount of {resource}, such as {(resource == "cpu" ? "100m" : "128Mi")}");
            }
            if (annotation(limit) is { Length: > 0 } most && annotation(request) is { Length: > 0 } least && Quantity.Nanos(most) < Quantity.Nanos(least))
                return (limit, most, $"is below the request, {request}: {least}");
        }
        return null;
    }
}
