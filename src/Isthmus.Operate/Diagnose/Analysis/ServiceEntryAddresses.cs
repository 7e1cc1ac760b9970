using System.Text.Json.Nodes;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>ServiceEntries with TCP ports that no address identifies: they take every connection to the port. Pure.</summary>
public static class ServiceEntryAddresses
{
    public static Analyzer Analyzer { get; } = new("serviceentry.ProtocolAddressesAnalyzer", "Checks that ServiceEntries with TCP ports have addresses, where control planes allocate none", [IstioCodes.AddressesRequired], ["ServiceEntry"], mesh =>
        from cluster in mesh.Readable
        from entry in cluster.Istio<ServiceEntry>()
        // Control planes allocate addresses for the others.
        where entry.Addresses.IsEmpty && !HasAllocated(cluster, entry) && (entry.Resolution == EntryResolution.None || entry.Hosts.All(host => host.StartsWith('*')))
        from port in entry.Ports.Index()
        where port.Item.Protocol is Protocol.Tcp or Protocol.Mongo or Protocol.Redis or Protocol.MySql or Protocol.Auto
        select IstioCodes.AddressesRequired.At(cluster, $"ServiceEntry {entry.Namespace}/{entry.Name}", "spec.addresses", $"is empty, and port {port.Item.Number} is not HTTP or TLS: the entry is for every connection to port {port.Item.Number}, whatever its address"));

    private static bool HasAllocated(ClusterInventory cluster, ServiceEntry entry) => cluster.Find($"ServiceEntry {entry.Namespace}/{entry.Name}")?["status"]?["addresses"] is JsonArray { Count: > 0 };
}
