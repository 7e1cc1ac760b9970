using System.Text.Json.Nodes;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Operate.Diagnose;

/// <summary>Where a host of a dump is: at an IP address and a port, behind a listener within the proxy that opens a tunnel to them, or at a Unix
/// socket.</summary>
/// <param name="Address">Empty for a Unix socket.</param>
/// <param name="Listener">The proxy's own listener that opens the tunnel; empty if the host is reached without one.</param>
public readonly record struct HostPlace(string Address, string Port, string Listener)
{
    /// <param name="address">An <c>address</c> of Envoy's dumps.</param>
    public static HostPlace Of(JsonNode? address)
    {
        if (At(address, "socket_address") is { } socket) return new(Text(socket, "address"), Text(socket, "port_value"), "");
        if (At(address, "envoy_internal_address") is not { } inner) return new("", "", "");
        var (place, listener) = (Text(inner, "endpoint_id"), Text(inner, "server_listener_name"));
        var colon = place.LastIndexOf(':');
        return colon < 0 ? new("", "", listener) : new(place[..colon].Trim('[', ']'), place[(colon + 1)..], listener);
    }

    private static string Text(JsonNode node, string field) => At(node, field)?.ToString() ?? "";
}
