namespace Isthmus.Bench.Proxies;

/// <summary>What a contender stands between.</summary>
/// <param name="Server">The address of the server behind it.</param>
internal sealed record Wiring(string Server)
{
    /// <summary>Names the contender's files, next to its own name.</summary>
    internal string Place { get; init; } = "";

    /// <summary>The program of another build. Null: that of this repository.</summary>
    internal string? Program { get; init; }

    /// <summary>The address that it listens on.</summary>
    internal string Host { get; init; } = "127.0.0.1";

    /// <summary>A process whose network it gets. Null: the network of this process.</summary>
    internal int? NetworkOf { get; init; }

    /// <summary>HTTP/2 on both sides, HTTP/1.1 otherwise.</summary>
    internal bool Http2 { get; init; }

    /// <summary>Clients connect with TLS and present a certificate.</summary>
    internal bool TlsFromClients { get; init; }

    /// <summary>It connects to the server with TLS and presents a certificate.</summary>
    internal bool TlsToServer { get; init; }

    /// <summary>Clients get session tickets.</summary>
    internal bool Tickets { get; init; }

    /// <summary>In front of the server (inbound), not behind the client (outbound).</summary>
    internal bool Inbound { get; init; }

    /// <summary>Where tunnels lead to (HBONE), which a caller opens at <see cref="Server"/>, and a callee ends at its own port. Null: there are none.</summary>
    internal string? TunnelTo { get; init; }

    /// <summary>The percentage of requests that are traced. Null: tracing is off.</summary>
    internal double? Sampling { get; init; }

    /// <summary>Settings of the runtime besides those of the image.</summary>
    internal IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();
}
