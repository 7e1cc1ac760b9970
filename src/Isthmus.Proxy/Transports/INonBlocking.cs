namespace Isthmus.Proxy.Transports;

/// <summary>Bytes in both directions whose calls never wait: each does what can be done now, and says when there is more to do.</summary>
internal interface INonBlocking
{
    /// <summary>True when nothing has arrived and the peer has not closed.</summary>
    bool IsQuiet { get; }

    /// <summary>Reads what is there; 0 at the end of the peer's stream, -1 when there is nothing now.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    int TryRead(Span<byte> into);

    /// <summary>Takes some of the bytes; -1 while there is no room for more.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    int TryWrite(ReadOnlySpan<byte> bytes);

    /// <summary>Completes when <see cref="TryRead"/> may have something, or fails.</summary>
    ValueTask<int> WaitToReadAsync();

    /// <summary>Completes when <see cref="TryWrite"/> may take more.</summary>
    /// <exception cref="TransportException">The transport was aborted.</exception>
    ValueTask WaitToWriteAsync();

    /// <summary>Ends the sending direction after everything that was taken.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    ValueTask CloseWriteAsync();
}
