using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Endpoints;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Streaming.Nodes;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary>The subresources of a Pod that only its node can answer.</summary>
public static class StreamingResources
{
    internal static IReadOnlyList<IStreamingResource> All(ApiServerContext context, ServiceEndpoints endpoints)
    {
        var nodes = new NodeLookup(context.Settings, context.Store);
        return [
            new LogResource(nodes), new RemoteCommandResource(nodes, "exec", "PodExecOptions"), new RemoteCommandResource(nodes, "attach", "PodAttachOptions"),
            new PortForwardResource(nodes),
            new ProxyResource("pods", "PodProxyOptions", (pod, request) => ProxyTarget.OfPod(pod, request, context.Settings.LoopbackEndpoints)),
            new ProxyResource("services", "ServiceProxyOptions", (service, request) => ProxyTarget.OfService(service, request, endpoints))];
    }

    internal static VirtualResourceDescriptor Describe(string subresource, string kind, params ReadOnlySpan<string> verbs) =>
        new("", "v1", "pods", "", kind, subresource, true, [.. verbs]);

    internal static Pod Parse(JsonObject parent) =>
        parent.Deserialize(KubeJson.Of<Pod>()) ?? throw ApiException.Internal("the stored Pod is malformed");

    /// <summary>The requested container, or the only one.</summary>
    internal static string ContainerOf(HttpContext http, Pod pod)
    {
        var asked = http.Request.Query.First("container");
        var names = pod.Spec.Containers.Select(one => one.Name).ToList();
        if (asked.Length > 0)
        {
            if (pod.Spec.Containers.Concat(pod.Spec.InitContainers).Concat(pod.Spec.EphemeralContainers).Any(one => one.Name == asked)) return asked;
            throw ApiException.BadRequest($"container {asked} is not valid for pod {pod.Metadata.Name}");
        }
        if (names.Count == 1) return names[0];
        if (pod.Metadata.Annotations.TryGetValue("kubectl.kubernetes.io/default-container", out var usual) && names.Contains(usual)) return usual;
        var init = pod.Spec.InitContainers.Count > 0
            ? $" or one of the init containers: [{string.Join(' ', pod.Spec.InitContainers.Select(one => one.Name))}]"
            : "";
        throw ApiException.BadRequest($"a container name must be specified for pod {pod.Metadata.Name}, choose one of: [{string.Join(' ', names)}]{init}");
    }

    /// <summary>The query of the request to the node, without what the node does not know.</summary>
    /// <param name="switches">Parameters that are on in any form of true, each with the kubelet's name and value for it.</param>
    /// <param name="values">Parameters that are passed on with all their values.</param>
    internal static QueryString NodeQuery(IQueryCollection query, (string Name, string AtNode, string On)[] switches, string[] values)
    {
        // Escaped by RFC 3986: a kubelet drops a parameter with a plain semicolon, which ASP.NET's encoder leaves.
        var forwarded = switches.Where(one => query.IsOn(one.Name)).Select(one => $"{one.AtNode}={one.On}")
            .Concat(values.SelectMany(name => query[name].OfType<string>(), (name, value) => $"{name}={Uri.EscapeDataString(value)}")).ToList();
        return forwarded.Count == 0 ? QueryString.Empty : new QueryString("?" + string.Join('&', forwarded));
    }

    internal static void RequireNode(Pod pod)
    {
        if (pod.Spec.NodeName.Length == 0) throw ApiException.BadRequest($"pod {pod.Metadata.Name} does not have a host assigned");
    }
}
