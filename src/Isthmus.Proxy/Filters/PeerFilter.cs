using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Istio.Peers;

namespace Isthmus.Proxy.Filters;

/// <summary>What is kept of the peer of a request.</summary>
internal sealed class PeerState : IFilterState
{
    private string _last = "";

    /// <summary>The client told who it is, and wants to know who answers.</summary>
    public bool IsAsked { get; set; }

    // A connection's requests come from one peer, and their answers from few: the same text serves many.
    public string Text(ReadOnlySpan<byte> told)
    {
        if (!Ascii.Equals(told, _last)) _last = Encoding.UTF8.GetString(told);
        return _last;
    }

    public void Clear() => IsAsked = false;
}

/// <summary>An istio.metadata_exchange filter: peers identify themselves in dedicated fields, which neither application sees.</summary>
/// <param name="tellsMeshOnly">Hosts outside of the mesh are not told who calls.</param>
internal sealed class PeerFilter(string name, bool tellsMeshOnly) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = new(FilterKind<HttpFilters>.Of<Config>("istio.metadata_exchange", (peers, name, into) =>
        into.Replace(new(name, peers.UpstreamPropagation.Any(way => way.IstioHeaders is { SkipExternalClusters: true })))));

    public override FilterSteps Steps => FilterSteps.Arrival | FilterSteps.Forward | FilterSteps.Answer | FilterSteps.Response;

    public override bool IsPolicy => false;

    public bool TellsMeshOnly => tellsMeshOnly;

    public override void OnArrival(FilteredRequest request)
    {
        if (request.Direction != Direction.Inbound) return;
        request.State<PeerState>().IsAsked = request.Head.Headers.Contains("x-envoy-peer-metadata-id"u8);
        Take(request.Head.Headers, request);
    }

    public override void OnForward(FilteredRequest request)
    {
        if (request.Direction == Direction.Outbound && !(tellsMeshOnly && request.Record.Cluster is { Config.IsExternal: true }))
            Tell(request.Head.Headers, request.Ports);
    }

    public override void OnAnswer(FilteredRequest request)
    {
        if (request.Direction == Direction.Outbound) Take(request.Response.Headers, request);
    }

    public override void OnResponse(FilteredRequest request)
    {
        if (request.TryState<PeerState>(out var peer) && peer.IsAsked) Tell(request.Response.Headers, request.Ports);
    }

    /// <summary>Reads and removes what the peer says.</summary>
    private static void Take(HeaderBlock headers, FilteredRequest request)
    {
        request.Record.PeerMetadata = request.State<PeerState>().Text(headers.Get("x-envoy-peer-metadata"u8));
        headers.Remove("x-envoy-peer-metadata"u8);
        headers.Remove("x-envoy-peer-metadata-id"u8);
    }

    /// <summary>Says who this proxy is.</summary>
    private static void Tell(HeaderBlock headers, FilterPorts self)
    {
        if (self.PeerMetadata.Length == 0) return;
        headers.Set("x-envoy-peer-metadata"u8, self.PeerMetadata);
        headers.Set("x-envoy-peer-metadata-id"u8, self.NodeId);
    }
}
