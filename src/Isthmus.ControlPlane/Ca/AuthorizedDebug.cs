using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Ca;

/// <summary>Answers debug requests of callers in the control plane's own namespace only, as istiod does.</summary>
/// <param name="plainPort">The port without authentication, which is on the loopback only.</param>
public sealed class AuthorizedDebug(IXdsDebug inner, CallerCheck callers, string systemNamespace, int plainPort) : IXdsDebug
{
    public async ValueTask<IReadOnlyList<Any>> AnswerAsync(GrpcCall call, string typeUrl, IReadOnlyList<string> names, CancellationToken stop)
    {
        if (call.Http.Connection.LocalPort != plainPort)
        {
            var caller = call.Caller as Caller ?? await callers.RequireAsync(call, stop);
            if (caller.Identity.Namespace != systemNamespace)
                throw new GrpcException(GrpcCode.PermissionDenied,
                    $"the debug info is not available for current identity: \"{caller.Identity}\" (use a service account of namespace {systemNamespace})");
        }
        return await inner.AnswerAsync(call, typeUrl, names, stop);
    }
}
