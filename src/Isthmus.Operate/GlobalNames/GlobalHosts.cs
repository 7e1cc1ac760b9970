using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.GlobalNames;

/// <summary>
/// Checks calls to names that no cluster has as a Service (<c>NAME.NAMESPACE.global</c>): can the gateway behind a
/// ServiceEntry's endpoints route the call? Pure.
/// </summary>
public static class GlobalHosts
{
    /// <summary>What is wrong with the entries of every cluster, as far as the given clusters show.</summary>
    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters)
    {
        var gateways = clusters.SelectMany(cluster => GlobalEntry.Of(cluster).Select(entry => (Cluster: cluster, Entry: entry))).ToList();
        foreach (var cluster in clusters)
        {
            foreach (var finding in SharedAddresses(cluster)) yield return finding;
            foreach (var entry in cluster.Istio<ServiceEntry>().Where(entry => !entry.External))
            {
                foreach (var (owner, gateway) in gateways)
                {
                    foreach (var finding in Calls(cluster, entry, owner, gateway, clusters)) yield return finding;
                }
            }
        }
    }

    /// <summary>What happens to a call for a host and port that arrives at a gateway with mesh TLS; null when the gateway
    /// forwards it to a service.</summary>
    /// <param name="owner">The gateway's cluster.</param>
    /// <param name="everybody">Clusters whose addresses a new entry must not reuse.</param>
    public static Finding? Arrival(ClusterInventory owner, GlobalEntry gateway, string host, int port, IReadOnlyList<ClusterInventory> everybody)
    {
        if (!gateway.Takes(host))
        {
            return new(owner.Context, new("ISM1401", $"Service {gateway.Service}", "",
                $"takes only calls for {string.Join(", ", gateway.Hosts)} at port {gateway.Port}: one for {host} finds no filter chain, and callers get 503",
                $"add \"{host}\" to the hosts of the Gateway's AUTO_PASSTHROUGH server"));
        }
        return Arrival(owner, gateway.Service, gateway.ByName, host, gateway.Target(host), port, everybody);
    }

    /// <summary>The same check when the gateway's destination is already known.</summary>
    /// <param name="gateway">Namespace and name of the gateway's Service.</param>
    /// <param name="byName">Whether the SNI decides the destination.</param>
    /// <param name="target">The host that the call is routed to.</param>
    public static Finding? Arrival(ClusterInventory owner, string gateway, bool byName, string host, string target, int port,
        IReadOnlyList<ClusterInventory> everybody)
    {
        Finding Wrong(string code, string message, string remedy, JsonObject? missing = null) => new(
            owner.Context, new(code, $"Service {gateway}", "", message, remedy), missing is null ? null : new(owner.Context, missing));
        if (Ports(owner, target) is { } ports)
        {
            return ports.Contains(port) ? null : Wrong("ISM1403",
                $"leads calls for {host} to {target}, which has no port {port} there (it has {string.Join(", ", ports.Order())}): the SNI carries the port "
                    + $"number of the caller's ServiceEntry, and callers get 503",
                "use the port number of the called Service in the ServiceEntry");
        }
        if (target != host)
            return Wrong("ISM1402", $"rewrites {host} to {target}, which does not exist there: callers get 503",
                $"check the host's name, or create the Service in {owner.Context}");
        var rewrite = "or let the gateway rewrite such names (values.global.multiCluster.includeEnvoyFilter=true)";
        if (byName && OwnService(owner, host) is { } service)
            return Wrong("ISM1404",
                $"routes by SNI, and no Envoy cluster is named outbound_.{port}_._.{host} there: it does not rewrite the name, and {owner.Context} has no "
                    + $"ServiceEntry {host}. Callers get 503",
                $"apply the ServiceEntry in {owner.Context}, {rewrite}", GlobalExport.Local(service, host, GlobalAddresses.Choose(host, everybody)));
        return Wrong("ISM1402", $"knows no host {host}, neither as a Service nor as a ServiceEntry: callers get 503",
            $"check the name, or create the Service or ServiceEntry for it in {owner.Context}");
    }

    private static IEnumerable<Finding> Calls(ClusterInventory caller, ServiceEntry entry, ClusterInventory owner, GlobalEntry gateway,
        IReadOnlyList<ClusterInventory> clusters)
    {
        foreach (var endpoint in entry.Endpoints)
        {
            var called = endpoint.Address.ToString();
            if (gateway.Addresses.All(address => address.Address != called)) continue;
            foreach (var port in entry.Ports)
            {
                var at = new EntryAddress(called, endpoint.Ports.TryGetValue(port.Name, out var named) ? named : port.Number);
                if (!gateway.Addresses.Contains(at))
                {
                    // A node's address is shared by every NodePort. Only a load balancer's address belongs to the gateway
                    // alone.
                    if (!gateway.Addresses.Contains(new(called, gateway.Port))) continue;
                    yield return new(caller.Context, new("ISM1405", $"ServiceEntry {entry.Namespace}/{entry.Name}", "spec.endpoints",
                        $"sends port {port.Number} to {at}, which is {owner.Context}'s gateway {gateway.Service}, but that takes calls from other clusters at "
                            + $"{gateway.Port}",
                        $"give the endpoint 'ports: {{{port.Name}: {gateway.Port}}}'"));
                    continue;
                }
                foreach (var host in entry.Hosts.Where(host => !host.StartsWith('*')))
                {
                    if (Plain(caller, entry, host) is { } plain) yield return plain;
                    if (Arrival(owner, gateway, host, port.Number, clusters) is not { } arrival) continue;
                    yield return arrival with
                    {
                        Problem = arrival.Problem with
                        {
                            Message = $"{arrival.Problem.Message} (called by ServiceEntry {entry.Namespace}/{entry.Name} of {caller.Context})"
                        },
                    };
                }
            }
        }
    }

    /// <summary>Endpoints of a ServiceEntry do not declare mesh TLS, so a DestinationRule must.</summary>
    private static Finding? Plain(ClusterInventory caller, ServiceEntry entry, string host)
    {
        var rules = caller.Istio<DestinationRule>().Where(rule => Isthmus.Mesh.Generate.Hosts.Covers(rule.Host, host)).ToList();
        if (rules.Any(rule => rule.Policy.Tls is { Mode: ClientTlsMode.IstioMutual })) return null;
        var zone = host[(host.LastIndexOf('.') + 1)..];
        var missing = new JsonObject
        {
            ["apiVersion"] = "networking.istio.io/v1alpha3", ["kind"] = "DestinationRule",
            ["metadata"] = new JsonObject { ["name"] = "istio-multicluster-ingressgateway", ["namespace"] = caller.SystemNamespace },
            ["spec"] = new JsonObject { ["host"] = $"*.{zone}", ["trafficPolicy"] = new JsonObject { ["tls"] = new JsonObject { ["mode"] = "ISTIO_MUTUAL" } } },
        };
        return new(caller.Context,
            new("ISM1406", $"ServiceEntry {entry.Namespace}/{entry.Name}", "", $"calls {host} in plain text, which the other cluster's gateway cannot route",
            "apply the DestinationRule"), new(caller.Context, missing));
    }

    /// <summary>An address identifies one host. With two hosts, calls by address and TCP calls go to whichever comes
    /// first.</summary>
    private static IEnumerable<Finding> SharedAddresses(ClusterInventory cluster) =>
        from entry in cluster.Istio<ServiceEntry>()
        from address in entry.Addresses
        group entry by address into sharing
        let hosts = sharing.SelectMany(entry => entry.Hosts).Distinct().ToList()
        where sharing.Count() > 1 && hosts.Count > 1
        let last = sharing.OrderBy(entry => entry.CreatedAt).ThenBy(entry => entry.Source).Last()
        select new Finding(cluster.Context, new("ISM1407", $"ServiceEntry {last.Namespace}/{last.Name}", "spec.addresses",
            $"{sharing.Key} is used by several hosts ({string.Join(", ", hosts)})", "give each host its own address", Severity.Warning));

    /// <summary>The ports of a host that the cluster knows; null when it knows no such host.</summary>
    private static IReadOnlyList<int>? Ports(ClusterInventory cluster, string host)
    {
        var entries = cluster.Istio<ServiceEntry>().Where(entry => !entry.External && entry.Hosts.Contains(host)).ToList();
        if (entries.Count > 0) return [.. entries.SelectMany(entry => entry.Ports).Select(port => port.Number).Distinct()];
        return host.Split('.') is [var name, var ns, "svc", ..] && cluster.Service(ns, name) is { } service
            ? [.. service.Spec.Ports.Select(port => port.Port)]
            : null;
    }

    private static Kubernetes.Objects.Service? OwnService(ClusterInventory cluster, string host) =>
        host.Split('.') is [var name, var ns, _] ? cluster.Service(ns, name) : null;
}
