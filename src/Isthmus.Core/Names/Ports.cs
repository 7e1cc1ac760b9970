namespace Isthmus.Core.Names;

/// <summary>The ports of an Istio mesh (Istio documentation, "Ports used by Istio").</summary>
public static class Ports
{
    /// <summary>Proxy admin interface, on localhost.</summary>
    public const int ProxyAdmin = 15000;
    /// <summary>Outbound capture.</summary>
    public const int Outbound = 15001;
    /// <summary>What tools ask of the agent, on localhost.</summary>
    public const int AgentDebug = 15004;
    /// <summary>Inbound capture.</summary>
    public const int Inbound = 15006;
    /// <summary>Discovery and CA in plain text, local only.</summary>
    public const int DiscoveryPlain = 15010;
    /// <summary>Discovery and CA over TLS.</summary>
    public const int DiscoveryTls = 15012;
    /// <summary>Control plane metrics.</summary>
    public const int DiscoveryMonitoring = 15014;
    /// <summary>ControlZ: the control plane's log levels, local only.</summary>
    public const int ControlZ = 9876;
    /// <summary>Webhooks; the Service maps 443 to it.</summary>
    public const int Webhook = 15017;
    /// <summary>Agent: merged metrics, rewritten application probes.</summary>
    public const int AgentStatus = 15020;
    /// <summary>Readiness of the proxy.</summary>
    public const int ProxyReady = 15021;
    /// <summary>The sidecar's DNS server, UDP and TCP.</summary>
    public const int SidecarDns = 15053;
    /// <summary>The proxy's own metrics.</summary>
    public const int ProxyMetrics = 15090;
    /// <summary>HBONE.</summary>
    public const int Tunnel = 15008;
    /// <summary>East-west gateway: pass-through by SNI.</summary>
    public const int EastWest = 15443;
    /// <summary>Control plane debug and readiness.</summary>
    public const int DiscoveryHttp = 8080;

    /// <summary>Whether the proxy of a Pod, or what captures for it, uses a port of the Pod: an application cannot.</summary>
    public static bool IsOfProxy(int port) =>
        port is ProxyAdmin or Outbound or AgentDebug or Inbound or Tunnel or AgentStatus or ProxyReady or SidecarDns or ProxyMetrics;

    /// <summary>Whether the Pod of a gateway needs a port itself: a listener there would get calls that are for its probes and metrics, and they the
    /// listener's.</summary>
    public static bool IsOfGateway(int port) => port is ProxyAdmin or AgentDebug or AgentStatus or ProxyReady or ProxyMetrics;
}

/// <summary>The user and group of the proxy, which traffic capture leaves alone (Istio).</summary>
public static class ProxyUser
{
    public const int Id = 1337;

    /// <summary>The socket mark by which the proxy's own traffic is recognised where UID 1337 is not mapped.</summary>
    public const int Mark = 1337;
}
