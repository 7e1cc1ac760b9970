namespace Isthmus.Proxy.Messages;

/// <summary>A kept-alive connection to one host, ready for another request.</summary>
internal interface IPooledConnection
{
    /// <summary>Nothing has arrived, the host has not closed, and it is not too old for another request.</summary>
    bool IsQuiet { get; }

    long IdleSince { get; }

    void Close();
}
