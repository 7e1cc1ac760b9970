using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>ServiceEntries that declare different protocols for one port of a host. Pure.</summary>
public static class ServiceEntryProtocols
{
    private sealed record Claim(ServiceEntry Entry, int Index, string Host, int Port, Protocol Protocol);

    public static Analyzer Analyzer
    {
        get;
    } = new("serviceentry.ConflictingServiceEntryProtocolAnalyzer", "Checks that the ServiceEntries of one host agree about the protocols of its ports",
        [IstioCodes.EntriesDisagree], ["ServiceEntry"], mesh =>
        from cluster in mesh.Readable
        from same in (from entry in cluster.Istio<ServiceEntry>()
                      from host in entry.Hosts
                      from port in entry.Ports.Index()
                      select new Claim(entry, port.Index, host, port.Item.Number, port.Item.Protocol)).GroupBy(claim => (claim.Host, claim.Port))
        from claim in same
        let others = same.Where(other => other.Entry != claim.Entry && other.Protocol != claim.Protocol
            && ExportScopes.Overlap(claim.Entry.ExportTo, claim.Entry.Namespace, other.Entry.ExportTo, other.Entry.Namespace))
            .ToList()
        where others.Count > 0
        select IstioCodes.EntriesDisagree.At(cluster, $"ServiceEntry {claim.Entry.Namespace}/{claim.Entry.Name}", $"spec.ports[{claim.Index}].protocol",
            $"{claim.Host} has the protocol {claim.Protocol} at port {claim.Port}, but by "
                + $"{string.Join(", ", others.Select(other => $"ServiceEntry {other.Entry.Namespace}/{other.Entry.Name} {other.Protocol}"))}: proxies use one "
                + $"of them"));
}
