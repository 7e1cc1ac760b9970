using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Operate.Install;

namespace Isthmus.Operate.Diagnose;

/// <summary>Finds the Gateways that pass connections of other networks on to the service that their SNI names.</summary>
internal static class PassingGateways
{
    /// <summary>Whether a Gateway of Istio's does.</summary>
    internal static bool IsIstios(JsonObject gateway) =>
        (gateway["spec"]?["servers"] as JsonArray ?? []).Any(server => server?["tls"]?["mode"]?.ToString() == "AUTO_PASSTHROUGH");

    /// <summary>Whether a Gateway of the Gateway API does.</summary>
    internal static bool IsApis(JsonObject gateway)
    {
        var read = ApiGatewayReader.Read("", gateway);
        return read.Listeners.Any(read.PassesByName);
    }

    /// <summary>Whether a cluster has one of the Gateway API.</summary>
    /// <exception cref="KubeException">The user may not read them.</exception>
    internal static async Task<bool> AnyAsync(KubeClient client, CancellationToken stop)
    {
        foreach (var version in MeshApi.ApiGateway.Versions)
        {
            try
            {
                return (await client.ListAllAsync<JsonObject>(Manifests.ResourceOf(MeshApi.ApiGateway, version), null, new ListOptions(), stop)).Any(IsApis);
            }
            catch (KubeException e) when (e.IsNotFound)
            {
                // The version is not served.
            }
        }
        return false;
    }
}
