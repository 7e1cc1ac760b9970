using System.Text.Json.Nodes;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Operate.Inventory;

/// <summary>A Gateway of the Gateway API, with what its control plane has written into its status.</summary>
/// <param name="Routed">The listeners that routes are attached to.</param>
/// <param name="HasListenerSets">Whether ListenerSets add listeners.</param>
internal sealed record StoredGateway(ApiGateway Gateway, IReadOnlySet<string> Routed, bool HasListenerSets)
{
    public static StoredGateway Read(string context, JsonObject value) =>
        new(ApiGatewayReader.Read(context, value), ApiGatewayReader.Routed(value), ApiGatewayReader.HasSets(value));
}
