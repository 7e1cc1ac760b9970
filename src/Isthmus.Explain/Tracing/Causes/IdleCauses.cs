using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Which object says how long connections may carry no bytes at a proxy.</summary>
internal sealed class IdleCauses(TraceFacts facts, CallerConfig config)
{
    /// <summary>The field of the proxy's own configuration, where no object of Istio was found: an EnvoyFilter has changed it.</summary>
    public const string Unknown = "idle_timeout";

    private const string Field = "connectionPool.tcp.idleTimeout";

    /// <summary>At the caller's proxy, for a host; as the object and its field.</summary>
    public (string Object, string Path) AtCaller(MeshHost? host, int port, string subset, TimeSpan limit)
    {
        foreach (var rule in host is null ? [] : config.RulesFor(host))
            if (TrafficPolicy.Effective(rule, rule.Subsets.FirstOrDefault(one => one.Name == subset), port).Pool?.TcpIdleTimeout == limit)
                return ($"DestinationRule {rule.Namespace}/{rule.Name} in {config.At.Context}", $"spec.trafficPolicy.{Field}");
        return facts.Settings.Mesh.DefaultPolicy.Pool?.TcpIdleTimeout == limit && facts.MapNameOf(facts.Home) is { Length: > 0 } map
            ? (map, TraceFacts.MeshField($"defaultTrafficPolicy.{Field}")) : (facts.Client.ToString(), Unknown);
    }

    /// <summary>At the callee's proxy, which follows the objects of its own cluster; as <c>OBJECT: FIELD</c>.</summary>
    /// <param name="port">Of its Service.</param>
    /// <param name="inbound">What leads to the application.</param>
    public string AtCallee(Callee callee, int port, ClusterView? inbound, TimeSpan limit)
    {
        var at = facts.ConfigOf(callee.Cluster);
        if (config.SidecarOf(callee.Cluster, callee.Pod) is { } sidecar)
        {
            var name = $"Sidecar {sidecar.Namespace}/{sidecar.Name} in {at.Context}";
            foreach (var (index, ingress) in sidecar.Ingress.Index())
                if (ingress.Port == callee.Address.Port && ingress.Pool?.TcpIdleTimeout == limit) return $"{name}: spec.ingress[{index}].{Field}";
            if (sidecar.InboundPool?.TcpIdleTimeout == limit) return $"{name}: spec.inboundConnectionPool.tcp.idleTimeout";
        }
        var rule = IstioMetadata.ConfigOf(inbound?.Metadata?.FilterMetadata);
        foreach (var one in at.Istio<DestinationRule>().Where(one => $"{one.Namespace}/{one.Name}" == rule))
        {
            var own = one.Policy.Ports.Index().FirstOrDefault(settings => settings.Item.Port == port, (-1, default!)).Index;
            if (one.Policy.ForPort(port).Pool?.TcpIdleTimeout == limit)
                return $"DestinationRule {rule} in {at.Context}: spec.trafficPolicy.{(own < 0 ? "" : $"portLevelSettings[{own}].")}{Field}";
        }
        return $"{callee.Name}: {Unknown}";
    }
}
