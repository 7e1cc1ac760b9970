using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Finds the Gateways that pass connections of other networks on to the service that their SNI names, or to what their routes name.</summary>
internal static class PassingGateways
{
    /// <summary>Whether a Gateway of Istio's does.</summary>
    internal static bool IsIstios(JsonObject gateway) =>
        (gateway["spec"]?["servers"] as JsonArray ?? []).Any(server => server?["tls"]?["mode"]?.ToString() == "AUTO_PASSTHROUGH");

    /// <summary>Whether a Gateway of the Gateway API does, and control planes of the mesh serve its class.</summary>
    /// <param name="gateway">The Gateway.</param>
    /// <param name="classes">The classes of its cluster.</param>
    internal static bool IsApis(JsonObject gateway, IEnumerable<JsonObject> classes)
    {
        var read = ApiGatewayReader.Read("", gateway);
        if (!read.Listeners.Any(read.PassesByName)) return false;
        var known = classes.Select(item => GatewayClassReader.Read("", item)).FirstOrDefault(item => item.Source.Name == read.Class);
        return GatewayClasses.ControllerOf(read, known) is { } controller && GatewayClasses.Deploys(controller);
    }

    /// <summary>Whether a cluster has one of the Gateway API.</summary>
    /// <exception cref="KubeException">The user may not read them.</exception>
    internal static async Task<bool> AnyAsync(ClusterLists lists, CancellationToken stop)
    {
        var gateways = await ListAsync(lists, MeshApi.ApiGateway, stop);
        if (gateways.Count == 0) return false;
        var classes = await ListAsync(lists, MeshApi.GatewayClass, stop);
        return gateways.Any(gateway => IsApis(gateway, classes));
    }

    /// <summary>Whether one of the Gateway API leads connections to a port of its Service on: by a listener with a route.</summary>
    /// <param name="gateway">The Gateway, with its status.</param>
    /// <param name="service">A Service that may be its own.</param>
    /// <param name="port">The port.</param>
    internal static bool Leads(JsonObject gateway, Service service, int port)
    {
        var read = ApiGatewayReader.Read("", gateway);
        var isIts = GatewayNaming.BoundService(read) is var (ns, name)
            ? service.Metadata.Namespace == ns && service.Metadata.Name == name
            : service.Metadata.Namespace == read.Namespace
                && service.Metadata.Labels.GetValueOrDefault(GatewayNaming.GatewayLabel) == GatewayNaming.LabelOf(read.Name);
        if (!isIts) return false;
        var led = ApiGatewayReader.Routed(gateway);
        return read.Listeners.Any(listener => listener.Port == port && led.Contains(listener.Name));
    }

    /// <summary>All of the Gateway API.</summary>
    /// <exception cref="KubeException">The user may not read them.</exception>
    internal static async Task<IReadOnlyCollection<JsonObject>?> AllAsync(ClusterLists lists, CancellationToken stop) =>
        await ListAsync(lists, MeshApi.ApiGateway, stop);

    private static async Task<IReadOnlyCollection<JsonObject>> ListAsync(ClusterLists lists, KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            return await lists.ListAsync(kind, stop);
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // No version is served.
        }
    }
}
