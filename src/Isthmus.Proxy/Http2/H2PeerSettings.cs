namespace Isthmus.Proxy.Http2;

/// <summary>The settings of the peer (RFC 9113 section 6.5.2).</summary>
/// <param name="isServer">Whether the peer is the server of the connection.</param>
internal sealed class H2PeerSettings(bool isServer)
{
    private const int LargestFrame = 64 * 1024;

    /// <summary>Streams that the peer lets us open.</summary>
    public int MaxStreams { get; private set; } = 100;

    /// <summary>The send window of a new stream.</summary>
    public int InitialWindow { get; private set; } = H2.DefaultWindow;

    /// <summary>The largest frame to send.</summary>
    public int MaxFrame { get; private set; } = H2.MaxFrame;

    /// <summary>The peer takes requests for other protocols (RFC 8441).</summary>
    public bool AllowsUpgrades { get; private set; }

    /// <summary>Applies one setting. Unknown ones have no effect.</summary>
    /// <exception cref="H2ConnectionException">The setting may not have that value.</exception>
    public void Apply(int setting, uint value)
    {
        switch (setting)
        {
            case 2:
                if (value > (isServer ? 0 : 1)) throw Broken($"ENABLE_PUSH of {value}");
                break;
            case 3:
                MaxStreams = (int)Math.Min(value, int.MaxValue);
                break;
            case 4:
                if (value > int.MaxValue) throw new H2ConnectionException(H2Error.FlowControl, "a window that is too large");
                InitialWindow = (int)value;
                break;
            case 5:
                if (value is < 16384 or > 16777215) throw Broken($"MAX_FRAME_SIZE of {value}");
                MaxFrame = (int)Math.Min(value, LargestFrame);
                break;
            case 8:
                if (value > 1 || (value == 0 && AllowsUpgrades)) throw Broken($"ENABLE_CONNECT_PROTOCOL of {value}");
                AllowsUpgrades = value == 1;
                break;
        }
    }

    private static H2ConnectionException Broken(string what) => new(H2Error.Protocol, what);
}
