using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Gateways that VirtualServices name: they must exist, and admit the hosts. Pure.</summary>
public static class VirtualServiceGateways
{
    public static Analyzer Analyzer { get; } = new("virtualservice.GatewayAnalyzer", "Checks that the Gateways of VirtualServices exist, and admit their hosts",
        [IstioCodes.ReferencedResourceNotFound, IstioCodes.VirtualServiceHostNotFoundInGateway], ["VirtualService", "Gateway"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config)
    {
        var gateways = config.Cluster.Written<Gateway>().ToDictionary(gateway => gateway.FullName, StringComparer.Ordinal);
        foreach (var service in config.Cluster.Written<VirtualService>())
        {
            foreach (var (i, name) in service.Gateways.Index())
            {
                if (name == VirtualService.MeshGateway) continue;
                var (owner, path) = ($"VirtualService {service.Namespace}/{service.Name}", $"spec.gateways[{i}]");
                if (!gateways.TryGetValue(name, out var gateway))
                {
                    // A Gateway that is not valid is reported itself.
                    if (config.Cluster.Find($"Gateway {name}") is null)
                        yield return IstioCodes.ReferencedResourceNotFound.At(config.Cluster, owner, path, $"Referenced gateway not found: \"{name}\"", Elsewhere(gateways.Keys, name));
                    continue;
                }
                // A host needs one of the gateways, and a gateway one of the hosts.
                var refused = service.Hosts.Where(host => !Admits(gateway, service, host)).ToList();
                if (refused.Count < service.Hosts.Count) refused.RemoveAll(host => service.Gateways.Any(other => gateways.TryGetValue(other, out var known) && Admits(known, service, host)));
                if (refused.Count > 0)
                    yield return IstioCodes.VirtualServiceHostNotFoundInGateway.At(config.Cluster, owner, path,
                        $"Gateway {name} does not admit {string.Join(", ", refused)} of namespace {service.Namespace}: it has {(gateway.Servers.IsEmpty ? "no servers" : string.Join(", ", gateway.Servers.SelectMany(server => server.Hosts).Distinct()))}");
            }
        }
    }

    private static bool Admits(Gateway gateway, VirtualService service, string host) => gateway.Servers.Any(server => Hosts.Admits(gateway, server, host, service.Namespace));

    private static string? Elsewhere(IEnumerable<string> known, string name) =>
        known.FirstOrDefault(other => other.EndsWith(name[name.IndexOf('/', StringComparison.Ordinal)..], StringComparison.Ordinal)) is { } near ? $"write the name as {near}, or create the Gateway" : null;
}
