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
        record.PeerMetadata = In(request.Headers);
        request.Headers.Remove("x-envoy-peer-metadata"u8);
        request.Headers.Remove("x-envoy-peer-metadata-id"u8);
    }

    // A connection's requests come from one peer, and their answers from few: the same text serves many.
    public string In(HeaderBlock headers)
    {
        var told = headers.Get("x-envoy-peer-metadata"u8);
        if (!Ascii.Equals(told, _last)) _last = Encoding.UTF8.GetString(told);
        return _last;
    }
}
