using System.Net;
using Isthmus.Core.Names;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy;

/// <summary>The settings of the data plane, fixed at start.</summary>
/// <param name="Admin">Where the admin interface listens; null: nowhere.</param>
/// <param name="Metrics">Where this proxy's own metrics are served; null: nowhere.</param>
/// <param name="Status">Where metrics and health for the outside are served; null: nowhere.</param>
/// <param name="Ready">Where readiness is served; null: nowhere.</param>
/// <param name="DrainTime">How long connections may continue after the request to stop.</param>
internal sealed record ProxySettings(
    ProxyIdentity Identity, string Role, IPEndPoint? Admin, IPEndPoint? Metrics, IPEndPoint? Status, IPEndPoint? Ready, TimeSpan DrainTime)
{
    /// <summary>How long connections of a listener may continue after its removal (drainDuration of ProxyConfig).</summary>
    internal TimeSpan ListenerDrainTime { get; init; } = TimeSpan.FromSeconds(45);

    /// <summary>How many connections clients may have open, those to the admin interface apart.</summary>
    internal int MaxConnections { get; init; } = int.MaxValue;

    /// <summary>Whether answers to Prometheus are compressed for clients that can read it.</summary>
    internal bool CompressesScrapes { get; init; } = true;

    /// <summary>Which statistics of clusters scrapes contain.</summary>
    internal StatsSelection Stats { get; init; } = StatsSelection.Everything;

    /// <summary>The ranges of Istio's histograms.</summary>
    internal HistogramBuckets Buckets { get; init; } = HistogramBuckets.Default;

    /// <summary>How long the control plane hears of telemetry that was lost.</summary>
    internal TimeSpan LossTime { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long spans and lines of access logs wait for others, to be sent together.</summary>
    internal TimeSpan BatchTime { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The role of gateways.</summary>
    internal const string Gateway = "router";

    public static ProxySettings Default(ProxyIdentity identity, string role) => new(
        identity, role,
        new(IPAddress.Loopback, Ports.ProxyAdmin), new(IPAddress.Any, Ports.ProxyMetrics), new(IPAddress.Any, Ports.AgentStatus),
        new(IPAddress.Any, Ports.ProxyReady),
        TimeSpan.FromSeconds(5));
}
