using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>Finds the gateways that a host needs: a gateway that comes or goes concerns only hosts with endpoints in its network.</summary>
internal sealed class HostGateways(Live<string, GatewayTable> gateways)
{
    // Most hosts have endpoints in the same networks: they have one table.
    private readonly Dictionary<ValueList<string>, GatewayTable> _made = [];
    private GatewayTable? _of;

    /// <summary>The gateways of the networks of these endpoints; null: none has any.</summary>
    public GatewayTable? Of(Reader read, HostEndpoints behind)
    {
        if (read.Get(gateways, "") is not { IsEmpty: false } all) return null;
        var networks = behind.Endpoints.Select(endpoint => endpoint.Network).Distinct().Where(all.Knows).Order(StringComparer.Ordinal).ToValueList();
        if (networks.IsEmpty) return null;
        if (!ReferenceEquals(_of, all)) _made.Clear();
        _of = all;
        return _made.TryGetValue(networks, out var known) ? known : _made[networks] = all.Of(networks);
    }
}
