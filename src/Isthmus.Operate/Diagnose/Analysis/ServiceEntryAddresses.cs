using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>ServiceEntries with TCP ports that no address identifies: they take every connection to the port. Pure.</summary>
public static class ServiceEntryAddresses
{
    public static Analyzer Analyzer { get; } = new("serviceentry.ProtocolAddressesAnalyzer",
        "Checks that ServiceEntries with TCP ports have addresses that proxies use",
        [IstioCodes.AddressesRequired], ["ServiceEntry"], mesh =>
        from cluster in mesh.Readable
        from entry in cluster.Istio<ServiceEntry>()
        where entry.Addresses.IsEmpty && (cluster.CapturesDns == false || !MayAllocate(cluster, entry))
        from port in entry.Ports.Index()
        where port.Item.Protocol is Protocol.Tcp or Protocol.Mongo or Protocol.Redis or Protocol.MySql or Protocol.Auto
        select MayAllocate(cluster, entry)
            ? IstioCodes.AddressesRequired.At(cluster, Name(entry), "spec.addresses",
                $"is empty, and port {port.Item.Number} is not HTTP or TLS: MeshConfig does not switch on DNS capture, so proxies "
                + $"do not use the address that control planes allocate, and the entry is for every connection to port {port.Item.Number}",
                "set spec.addresses, or ISTIO_META_DNS_CAPTURE: \"true\" in meshConfig.defaultConfig.proxyMetadata", Severity.Info)
            : IstioCodes.AddressesRequired.At(cluster, Name(entry), "spec.addresses",
                $"is empty, and port {port.Item.Number} is not HTTP or TLS: the entry is for every connection to port {port.Item.Number}, whatever its "
                    + "address"));

    private static string Name(ServiceEntry entry) => $"ServiceEntry {entry.Namespace}/{entry.Name}";

    /// <summary>Whether control planes allocate an address for it, or have done so.</summary>
    private static bool MayAllocate(ClusterInventory cluster, ServiceEntry entry) =>
        (entry.Resolution != EntryResolution.None && !entry.Hosts.All(host => host.StartsWith('*')))
        || cluster.Find(Name(entry))?["status"]?["addresses"] is JsonArray { Count: > 0 };
}
