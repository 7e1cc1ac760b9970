using System.Buffers.Binary;

namespace Isthmus.Proxy.Http.H2;

/// <summary>The settings of the proxy (RFC 9113 section 6.5.2).</summary>
internal static class H2OwnSettings
{
    /// <summary>To clients.</summary>
    public static byte[] Server { get; } = [.. Setting(3, H2.MaxStreams), .. Setting(4, H2.StreamWindow), .. Setting(6, H2.MaxHeaderBlock)];

    /// <summary>To servers: no pushes, and no streams of theirs.</summary>
    public static byte[] Client { get; } = [.. Setting(3, 0), .. Setting(4, H2.StreamWindow), .. Setting(2, 0)];

    private static byte[] Setting(int setting, int value)
    {
        var bytes = new byte[6];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)setting);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(2), value);
        return bytes;
    }
}
