using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>The two ends of a connection do not agree on whether it begins with a header of the PROXY protocol.</summary>
internal sealed class ProxyHeaderCauses(TraceFacts facts, CallerConfig config)
{
    private const string Code = "ISM2153";

    /// <summary>The caller's proxy writes the header, and the other one does not read it.</summary>
    /// <param name="rule">The DestinationRule of the host; empty when nobody knows.</param>
    public Problem Unread(string rule, PodRef at)
    {
        var found = config.At.Istio<DestinationRule>().FirstOrDefault(one => $"{one.Namespace}/{one.Name}" == rule);
        var subset = found is { Policy.ProxyProtocol: null }
            ? found.Subsets.Index().FirstOrDefault(one => one.Item.Policy?.ProxyProtocol is not null) : default;
        return Faults.Of(Code, config.Named("DestinationRule", rule, facts.Client.ToString()),
            $"spec.{(subset.Item is null ? "" : $"subsets[{subset.Index}].")}trafficPolicy.proxyProtocol",
            $"begins connections with a header of the PROXY protocol, which the proxy of {at} does not read: it takes the header for what the caller says, and "
                + "the call fails",
            "remove it: it is for servers without a sidecar that expect the header");
    }

    /// <summary>A gateway takes connections only that begin with the header.</summary>
    /// <param name="who">Who does not write it.</param>
    public Problem Demanded(ClusterObjects cluster, Pod pod, string who)
    {
        const string field = "gatewayTopology.proxyProtocol";
        var isAnnotated = pod.Metadata.Annotations.GetValueOrDefault(Annotations.ProxyConfig, "").Contains("proxyProtocol", StringComparison.Ordinal);
        var isSetting = !isAnnotated && facts.SettingsOf(cluster).Mesh.GatewayTopology.ReadsProxyHeader;
        var name = PodRef.Of(cluster, pod);
        var (owner, path, place) = isAnnotated ? ($"{name}", $"metadata.annotations[{Annotations.ProxyConfig}].{field}", ServicePods.TemplateOf(pod))
            : isSetting ? (facts.MeshConfigOf(cluster), TraceFacts.MeshField($"defaultConfig.{field}"), "MeshConfig, and restart the gateway")
            : ($"{name}", "", "its configuration");
        return Faults.Of(Code, owner, path,
            $"makes the proxy of {name} close connections that do not begin with a header of the PROXY protocol, and {who}",
            $"remove {field} from {place}; or let what is before it write the header");
    }

    /// <summary>Whether a load balancer is asked to write the header: controllers have annotations of their own for that.</summary>
    public static bool IsAskedFor(Service service) => service.Metadata.Annotations.Any(annotation =>
        annotation.Key.Replace("-", "", StringComparison.Ordinal).Contains("proxyprotocol", StringComparison.OrdinalIgnoreCase)
        && !annotation.Value.Equals("false", StringComparison.OrdinalIgnoreCase));
}
