using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.FilterStates;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Rbac;

namespace Isthmus.Mesh.Generate;

/// <summary>What the end of a tunnel tells the listener within the proxy of a connection: its addresses, and who calls.</summary>
internal static class TunnelStates
{
    private const string PeerPrincipal = "io.istio.peer_principal";

    /// <summary>Connections of different callers are never the same one to the listener within: the values are part of what tells them apart.</summary>
    private static readonly HttpFilter
        Istio = Of("istio.hashable_string"),
        Envoy = Of("envoy.hashable_string");

    /// <summary>Sets it, as the request for the tunnel and its TLS say.</summary>
    public static HttpFilter Filter(ProxySoftware software) => software.HasIstioStrings ? Istio : Envoy;

    /// <summary>A caller whose SPIFFE ID matches.</summary>
    public static Principal Caller(StringMatcher name) => new() { FilterState = new() { Key = PeerPrincipal, StringMatch = name } };

    private static HttpFilter Of(string text) => new()
    {
        Name = "connect_authority",
        TypedConfig = Parts.Pack(new Wire.Envoy.FilterStates.Config
        {
            OnRequestHeaders =
            {
                Value("envoy.filters.listener.original_dst.local_ip", "%REQ(:AUTHORITY)%"),
                Value("io.istio.connect_authority", "%REQ(:AUTHORITY)%", text),
                Value("envoy.filters.listener.original_dst.remote_ip", "%DOWNSTREAM_REMOTE_ADDRESS%"),
                Value(PeerPrincipal, "%DOWNSTREAM_PEER_URI_SAN%", text),
                Value("io.istio.local_principal", "%DOWNSTREAM_LOCAL_URI_SAN%", text),
            },
        }),
    };

    /// <param name="factory">The kind of the value; empty: as its key says.</param>
    private static FilterStateValue Value(string key, string format, string factory = "") => new()
    {
        ObjectKey = key, FactoryKey = factory, FormatString = new() { TextFormatSource = new() { InlineString = format } },
        SharedWithUpstream = FilterStateValue.Types.SharedWithUpstream.Once,
    };
}
