using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Admin;

/// <summary>A data plane as those parts of a proxy see it that are beside the traffic: in this process, or a program that it runs.</summary>
internal interface IServedPlane : IDisposable
{
    ProxySettings Settings { get; }

    ISocketFactory Sockets { get; }

    /// <summary>Logs the failure of a task that nobody awaits.</summary>
    Action<string, Exception> ReportFailure { get; }

    /// <summary>The admin interface; null: the data plane serves it itself.</summary>
    AdminHandler? Admin { get; }

    AdminHandler Metrics { get; }

    AdminHandler Ready { get; }

    /// <summary>The metrics of the data plane, for a scrape that has more.</summary>
    AdminBody MetricsBody { get; }

    /// <summary>Cancelled when a client of the admin interface asks the process to quit.</summary>
    CancellationToken Quit { get; }

    /// <summary>Gets configuration and handles traffic until <paramref name="stop"/>; ends earlier only by failing.</summary>
    Task RunAsync(CancellationToken stop);

    /// <summary>Asks clients to connect elsewhere. The proxy keeps running, and later ends without a drain.</summary>
    void Leave();

    /// <summary>Stops accepting, lets open work finish for at most <paramref name="longest"/>, then closes the rest.</summary>
    /// <param name="longest">The time of the drain.</param>
    /// <param name="isPodEnding">Whether the whole Pod ends, not only the proxy: the application may then need calls of its own to finish.</param>
    Task DrainAsync(TimeSpan longest, bool isPodEnding);
}
