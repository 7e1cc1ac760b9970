using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>Whether the Services of one name in several clusters are one host, and agree about it. Pure.</summary>
public static class ServiceAgreement
{
    private static readonly string[] DefaultClusterLocal = ["*.kube-system.svc.", "kubernetes.default.svc."];

    /// <summary>How a definition of a host differs from the one that decides: the mesh keeps working, but not as both intend.</summary>
    public static IEnumerable<Problem> Differences(ClusterService first, ClusterService other)
    {
        var name = $"Service {other.Namespace}/{other.Name}";
        if (other.Headless != first.Headless)
        {
            yield return new("IST0170", name, "spec.clusterIP",
                // The control planes of both clusters say it, in the same words.
                $"is headless in {(other.Headless ? other : first).Cluster} but not in {(other.Headless ? first : other).Cluster}", "make both the same",
                Severity.Warning);
        }
        foreach (var port in other.Ports)
        {
            var known = Same(first, port);
            if (known is null && Crossed(first, other, port) is { } crossed)
            {
                var (udp, tcp) = port.Protocol == Protocol.Udp ? (other, first) : (first, other);
                yield return new("IST0170", name, "spec.ports",
                    $"port {crossed.Number} is UDP in {udp.Cluster} and TCP in {tcp.Cluster}: connections do not reach the Pods of {udp.Cluster}, and "
                        + $"datagrams not those of {tcp.Cluster}",
                    "set protocol of the port to the same in both: to TCP, if it takes connections", Severity.Warning);
            }
            else if (known is null)
            {
                yield return new("IST0170", name, "spec.ports",
                    $"port {port.Number} of {other.Cluster} does not exist in {first.Cluster}: only clusters that have it serve it", "give both the same ports",
                    Severity.Warning);
            }
            else if (known.Protocol != port.Protocol)
            {
                yield return new("IST0170", name, "spec.ports",
                    $"port {port.Number} uses {port.Protocol} in {other.Cluster} but {known.Protocol} in {first.Cluster}, whose definition applies",
                    "use the same port name in both, or give both the same appProtocol", Severity.Warning);
            }
            else if (known.Name != port.Name)
            {
                string[] named = [$"'{port.Name}' in {other.Cluster}", $"'{known.Name}' in {first.Cluster}"];
                yield return new("IST0170", name, "spec.ports",
                    $"port {port.Number} is named {string.Join(" and ", named.Order(StringComparer.Ordinal))}; joined by number",
                    "use one name: other meshes join by name", Severity.Warning);
            }
        }
        foreach (var port in first.Ports.Where(port => Same(other, port) is null && Crossed(other, first, port) is null))
        {
            yield return new("IST0170", name, "spec.ports",
                $"port {port.Number} of {first.Cluster} does not exist in {other.Cluster}: only clusters that have it serve it", "give both the same ports",
                Severity.Warning);
        }
    }

    /// <summary>Whether the host is another one in each cluster. Users' settings come first. Some hosts are local unless a setting makes them global.</summary>
    public static bool IsClusterLocal(string host, MeshConfig mesh)
    {
        foreach (var setting in mesh.ServiceSettings)
        {
            if (setting.ClusterLocal && setting.Hosts.Any(pattern => Hosts.Covers(pattern, host))) return true;
        }
        var byDefault = IsControlPlane(host, mesh)
            || DefaultClusterLocal.Any(part => part.StartsWith('*')
                ? host.Contains(part[1..], StringComparison.Ordinal)
                : host.StartsWith(part, StringComparison.Ordinal));
        return byDefault && !mesh.ServiceSettings.Any(setting => !setting.ClusterLocal && setting.Hosts.Any(pattern => Hosts.Covers(pattern, host)));
    }

    /// <summary>
    /// The control plane's Service, of any revision. In a remote cluster it leads to the gateway in front of the control
    /// plane: as one host in all clusters, that gateway would send part of the control plane's traffic to itself.
    /// </summary>
    private static bool IsControlPlane(string host, MeshConfig mesh) =>
        host.EndsWith($".{mesh.SystemNamespace}.svc.{WellKnown.DefaultDomainSuffix}", StringComparison.Ordinal)
        && host[..host.IndexOf('.', StringComparison.Ordinal)] is var name
        && (name == WellKnown.Istiod || name.StartsWith($"{WellKnown.Istiod}-", StringComparison.Ordinal));

    /// <summary>The port of the same number that differs in that one is for datagrams and the other for connections, where none of both has a counterpart; null
    /// for others.</summary>
    private static ServicePort? Crossed(ClusterService service, ClusterService of, ServicePort port) =>
        service.Ports.FirstOrDefault(other => other.Number == port.Number && Same(of, other) is null);

    private static ServicePort? Same(ClusterService service, ServicePort port) =>
        service.Ports.FirstOrDefault(other => other.Number == port.Number && (other.Protocol == Protocol.Udp) == (port.Protocol == Protocol.Udp));
}
