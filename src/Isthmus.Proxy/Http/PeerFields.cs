using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Http;

/// <summary>Mesh peers identify themselves in dedicated fields, which neither application sees.</summary>
internal struct PeerFields()
{
    private string _last = "";

    /// <summary>The client told who it is, and wants to know who answers.</summary>
    public bool IsAsked { get; private set; }

    /// <summary>Reads and removes what the client says.</summary>
    /// <param name="request">The request.</param>
    /// <param name="expects">This proxy is one that clients tell.</param>
    /// <param name="record">Keeps it.</param>
    public void Take(RequestHead request, bool expects, TrafficRecord record)
    {
        IsAsked = false;
        if (!expects) return;
        IsAsked = request.Headers.Contains("x-envoy-peer-metadata-id"u8);
        TakeAnswer(request.Headers, record);
    }

    /// <summary>Reads and removes what the server says.</summary>
    public void TakeAnswer(HeaderBlock headers, TrafficRecord record)
    {
        record.PeerMetadata = In(headers);
        headers.Remove("x-envoy-peer-metadata"u8);
        headers.Remove("x-envoy-peer-metadata-id"u8);
    }

    /// <summary>Says who this proxy is.</summary>
    public static void Tell(HeaderBlock headers, ProxyIdentity self)
    {
        if (self.PeerMetadata.Length == 0) return;
        headers.Set("x-envoy-peer-metadata"u8, self.PeerMetadata);
        headers.Set("x-envoy-peer-metadata-id"u8, self.NodeId);
    }

    // A connection's requests come from one peer, and their answers from few: the same text serves many.
    private string In(HeaderBlock headers)
    {
        var told = headers.Get("x-envoy-peer-metadata"u8);
        if (!Ascii.Equals(told, _last)) _last = Encoding.UTF8.GetString(told);
        return _last;
    }
}
