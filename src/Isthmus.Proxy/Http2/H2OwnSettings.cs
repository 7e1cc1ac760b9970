using System.Buffers.Binary;

namespace Isthmus.Proxy.Http2;

/// <summary>The settings of the proxy (RFC 9113 section 6.5.2).</summary>
internal static class H2OwnSettings
{
    /// <summary>To clients.</summary>
    /// <param name="streams">How many streams a client may have at once.</param>
    /// <param name="mayUpgrade">It may ask for other protocols (RFC 8441).</param>
    public static byte[] Server(int streams, bool mayUpgrade)
    {
        var most = streams == H2.MaxStreams ? Most : Of(streams);
        return mayUpgrade ? [.. most, .. Setting(8, 1)] : most;
    }

    private static byte[] Most { get; } = Of(H2.MaxStreams);

    private static byte[] Of(int streams) => [.. Setting(3, streams), .. Setting(4, H2.StreamWindow), .. Setting(6, H2.MaxHeaderBlock)];

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
