namespace Isthmus.Proxy.Clusters;

/// <summary>Idle connections to one host, kept for later requests.</summary>
internal interface IKeptConnections
{
    void CloseIdle();

    /// <summary>Closes those that their hosts closed, and those that nobody used for so long.</summary>
    void Sweep(TimeProvider time, TimeSpan idleTimeout);
}
