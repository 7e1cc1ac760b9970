using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>A server of one of Istio's Gateways that might pass connections of other networks on, and does not.</summary>
/// <param name="Gateway">As problems name it.</param>
/// <param name="Field">The field of its mode.</param>
/// <param name="Mode">What the field has.</param>
/// <param name="IsOfPort">It has the port to which other networks come.</param>
public sealed record NearServer(string Gateway, string Field, string Mode, bool IsOfPort);

/// <summary>Finds the Gateways that pass connections of other networks on to the service that their SNI names, or to what their routes name.</summary>
internal static class PassingGateways
{
    /// <summary>The server of one of Istio's Gateways that comes nearest; null: none has anything of it.</summary>
    internal static NearServer? Nearest(IEnumerable<Gateway> gateways) =>
        (from gateway in gateways
         from server in gateway.Servers.Index()
         let isPort = server.Item.Port == Ports.EastWest
         where isPort || server.Item.Tls is { Mode: ServerTlsMode.Passthrough }
         orderby isPort descending
         select new NearServer($"Gateway {gateway.FullName}", $"spec.servers[{server.Index}].tls.mode", server.Item.Tls?.ModeText ?? "not set", isPort))
        .FirstOrDefault();

    /// <summary>The command by which a Service gets the selector of a Gateway.</summary>
    /// <param name="context">The cluster.</param>
    /// <param name="service">As <c>namespace/name</c>.</param>
    /// <param name="wanted">The selector.</param>
    internal static string Select(string context, string service, ValueMap<string> wanted) =>
        $"kubectl --context={context} -n {service.Split('/')[0]} patch service {service.Split('/')[^1]} --type=json "
            + "-p '[{\"op\":\"replace\",\"path\":\"/spec/selector\",\"value\":{"
            + $"{string.Join(',', wanted.Items.Select(label => $"\"{label.Key}\":\"{label.Value}\""))}}}}}]'";

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
        var gateways = await lists.ListIfDefinedAsync(MeshApi.ApiGateway, stop);
        if (gateways.Count == 0) return false;
        var classes = await lists.ListIfDefinedAsync(MeshApi.GatewayClass, stop);
        return gateways.Any(gateway => IsApis(gateway, classes));
    }

    /// <summary>Whether one of the Gateway API leads connections to a port of its Service on: by a listener with a route.</summary>
    /// <param name="gateway">The Gateway, with its status.</param>
    /// <param name="service">A Service that may be its own.</param>
    /// <param name="port">The port.</param>
    internal static bool Leads(JsonObject gateway, Service service, int port)
    {
        var stored = StoredGateway.Read("", gateway);
        var read = stored.Gateway;
        var isIts = GatewayNaming.BoundService(read) is var (ns, name)
            ? service.Metadata.Namespace == ns && service.Metadata.Name == name
            : service.Metadata.Namespace == read.Namespace
                && service.Metadata.Labels.GetValueOrDefault(GatewayNaming.GatewayLabel) == GatewayNaming.LabelOf(read.Name);
        if (!isIts) return false;
        return read.Listeners.Any(listener => listener.Port == port && stored.Routed.Contains(listener.Name));
    }
}
