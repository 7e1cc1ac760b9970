using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Udpa;
using Isthmus.Wire.Istio;
using Wasm = Isthmus.Wire.Envoy.HttpFilters.Wasm;
using Methods = Isthmus.Wire.Istio.Peers.Config.Types;

namespace Isthmus.Mesh.Generate;

/// <summary>The traffic that a connection manager serves.</summary>
internal enum Traffic
{
    /// <summary>To a sidecar's application.</summary>
    Inbound,

    /// <summary>Of a sidecar's application.</summary>
    Outbound,

    /// <summary>As <see cref="Outbound"/>, but hosts outside of the mesh are told nothing of the proxy.</summary>
    OutboundInMesh,

    /// <summary>Through a gateway.</summary>
    Gateway,
}

/// <summary>The HTTP filter by which proxies tell each other what they are.</summary>
internal static class PeerMetadata
{
    private const string Name = "istio.metadata_exchange";

    private static readonly HttpFilter Inbound = new()
    {
        Name = Name,
        TypedConfig = Parts.Pack(new Wire.Istio.Peers.Config
        {
            DownstreamDiscovery = { Headers, Workloads }, DownstreamPropagation = { ByHeaders(inMesh: false) }
        }),
    };

    private static readonly HttpFilter Outbound = new()
    {
        Name = Name,
        TypedConfig = Parts.Pack(new Wire.Istio.Peers.Config
        {
            UpstreamDiscovery = { Headers, Workloads }, UpstreamPropagation = { ByHeaders(inMesh: false) }
        }),
    };

    private static readonly HttpFilter OutboundInMesh = new()
    {
        Name = Name,
        TypedConfig = Parts.Pack(new Wire.Istio.Peers.Config { UpstreamDiscovery = { Headers, Workloads }, UpstreamPropagation = { ByHeaders(inMesh: true) } }),
    };

    /// <summary>The form of Istio up to 1.17, for clients that do not list what they know.</summary>
    private static readonly HttpFilter Program = new()
    {
        Name = Name,
        TypedConfig = Parts.Pack(new Wasm
        {
            Config = new()
            {
                VmConfig = new()
                {
                    Runtime = "envoy.wasm.runtime.null",
                    Code = new() { Local = new() { InlineString = "envoy.wasm.metadata_exchange" } },
                },
                Configuration = Parts.Pack(new MetadataExchange()),
            },
        }),
    };

    /// <summary>As <see cref="OutboundInMesh"/>, for clients that do not list what they know.</summary>
    private static readonly HttpFilter UntypedInMesh = new()
    {
        Name = Name,
        TypedConfig = Parts.Pack(new TypedStruct
        {
            TypeUrl = "type.googleapis.com/io.istio.http.peer_metadata.Config",
            Value = Parts.Fields(
                ("upstream_discovery", Value.ForList(Of(("istio_headers", Of())), Of(("workload_discovery", Of())))),
                ("upstream_propagation", Value.ForList(Of(("istio_headers", Of(("skip_external_clusters", Value.ForBool(true)))))))),
        }),
    };

    private static Methods.DiscoveryMethod Headers => new() { IstioHeaders = new() };

    private static Methods.DiscoveryMethod Workloads => new() { WorkloadDiscovery = new() };

    private static Methods.PropagationMethod ByHeaders(bool inMesh) => new() { IstioHeaders = new() { SkipExternalClusters = inMesh } };

    private static Value Of(params ReadOnlySpan<(string Name, Value Value)> fields) => Value.ForStruct(Parts.Fields(fields));

    /// <summary>Null if the proxy does not know it.</summary>
    public static HttpFilter? Http(Traffic traffic, ProxySoftware software)
    {
        if (!software.Has(IstioFilters.PeerMetadata)) return null;
        if (!software.Declares) return traffic == Traffic.OutboundInMesh ? UntypedInMesh : Program;
        return traffic switch { Traffic.Inbound => Inbound, Traffic.OutboundInMesh => OutboundInMesh, _ => Outbound };
    }
}
