using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;

namespace Isthmus.Wire.Xds;

/// <summary>Answers requests about the server itself (<c>istio.io/debug</c> and others), which istioctl sends as discovery requests.</summary>
public interface IXdsDebug
{
    /// <exception cref="GrpcException">The caller may not ask, or the question is malformed.</exception>
    ValueTask<IReadOnlyList<Any>> AnswerAsync(GrpcCall call, string typeUrl, IReadOnlyList<string> names, CancellationToken stop);
}

/// <summary>A stream of questions about the server: each request but acknowledgements has one response, and nothing is sent unasked.</summary>
internal sealed class XdsDebugStream(IXdsDebug debug, ControlPlane? controlPlane, string noncePrefix)
{
    private string _nonce = "";
    private long _count;

    /// <returns>Null for an acknowledgement.</returns>
    /// <exception cref="GrpcException">As for <see cref="IXdsDebug"/>; or the stream turns to another purpose.</exception>
    public async ValueTask<DiscoveryResponse?> AnswerAsync(GrpcCall call, DiscoveryRequest request)
    {
        if (!TypeUrls.IsDebug(request.TypeUrl))
            throw new GrpcException(GrpcCode.InvalidArgument, $"a stream that began with debug requests cannot ask for {request.TypeUrl}: open another one");
        if (_nonce.Length > 0 && request.ResponseNonce == _nonce) return null;
        var resources = await debug.AnswerAsync(call, request.TypeUrl, request.ResourceNames, call.Stop).ConfigureAwait(false);
        _nonce = $"{noncePrefix}-{++_count}";
        return new() { TypeUrl = request.TypeUrl, VersionInfo = _nonce, Nonce = _nonce, ControlPlane = controlPlane, Resources = { resources } };
    }
}
