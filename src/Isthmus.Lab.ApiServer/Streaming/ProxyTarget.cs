using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Endpoints;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary>Where the requests of a proxy go: scheme, host and port, without a path.</summary>
internal static class ProxyTarget
{
    /// <param name="loopback">The Pod may be at a loopback address.</param>
    /// <exception cref="ApiException">400: the port is malformed, or the Pod has no address, or one that is not a Pod's.</exception>
    internal static Uri OfPod(JsonObject stored, ProxyRequestName request, bool loopback)
    {
        var pod = StreamingResources.Parse(stored);
        var port = request.Port.Length > 0 ? request.Port
            : pod.Spec.Containers.SelectMany(container => container.Ports).FirstOrDefault()?.Number.ToString(CultureInfo.InvariantCulture) ?? "";
        if (SharedAddress.Parse(pod.Status.PodIP) is not { } address || SharedAddress.Problem(address, loopback) is not null)
            throw ApiException.BadRequest("address not allowed");
        if (port.Length == 0) return new($"{request.Scheme}://{address}/");
        return Number(port) is { } number
            ? Address(request.Scheme, new(address, number))
            : throw ApiException.BadRequest($"invalid pod request \"{request.Name}:{port}\": \"{port}\" is not a port number");
    }

    /// <exception cref="ApiException">503: the Service has no such port, or no ready endpoint.</exception>
    internal static Uri OfService(JsonObject stored, ProxyRequestName request, ServiceEndpoints endpoints)
    {
        var service = stored.Deserialize(KubeJson.Of<Service>()) ?? throw ApiException.Internal("the stored Service is malformed");
        var name = request.Port;
        if (Number(request.Port) is { } number)
        {
            var port = service.Spec.Ports.FirstOrDefault(port => port.Port == number)
                ?? throw Unavailable($"no service port {number} found for service \"{request.Name}\"");
            name = port.Name;
        }
        try
        {
            return Address(request.Scheme, (IPEndPoint)endpoints.Any(service.Metadata.Namespace, request.Name, name));
        }
        catch (ServiceUnreachableException e)
        {
            throw Unavailable(e.Message);
        }
    }

    internal static ApiException Unavailable(string message) => new(503, "ServiceUnavailable", message);

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= IPEndPoint.MaxPort ? number : null;

    private static Uri Address(string scheme, IPEndPoint to) => new($"{scheme}://{to}/");
}
