namespace Isthmus.Proxy.Messages;

/// <summary>Calls of gRPC among requests.</summary>
internal static class GrpcCalls
{
    /// <summary>Whether a head with these fields is of a gRPC call, by its content type (gRPC over HTTP/2, Content-Type).</summary>
    public static bool Is(HeaderBlock headers)
    {
        var type = headers.Get("content-type"u8);
        var grpc = "application/grpc"u8;
        return type.StartsWith(grpc) && (type.Length == grpc.Length || type[grpc.Length] is (byte)'+' or (byte)';');
    }
}
