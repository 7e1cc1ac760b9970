using System.Text;

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

    /// <summary>Text as the value of <c>grpc-message</c>: only what is not printable ASCII, and the percent sign, is escaped (gRPC over HTTP/2,
    /// Status-Message).</summary>
    public static string MessageOf(ReadOnlySpan<byte> text)
    {
        var message = new StringBuilder(text.Length);
        foreach (var b in text)
        {
            if (b is >= 0x20 and <= 0x7e and not (byte)'%') message.Append((char)b);
            else message.Append('%').Append(b.ToString("X2", System.Globalization.CultureInfo.InvariantCulture));
        }
        return message.ToString();
    }
}
