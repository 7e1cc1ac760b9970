using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>A Service and the export that offers it to other clusters.</summary>
public sealed record ExportedService(ServiceExport Export, ClusterService Service)
{
    /// <summary>As the Service says it; what an earlier version stored of a cluster has only the ports.</summary>
    public ServiceOffer Offer { get; } = Service.Offer ?? new(
        Service.Ports.Select(port => new OfferedPort(port.Name, port.Number, port.Protocol == Protocol.Udp ? "UDP" : "TCP", "")).ToValueList(), "", 0, "", "",
        default);
}

/// <summary>
/// The Services of one name that several clusters export, as one (KEP-1645): ports are united; in everything else, and for a port that two
/// of them define differently, the oldest export decides.
/// </summary>
public static class ExportedServices
{
    /// <summary>The oldest first; exports of the same second by the names of their clusters.</summary>
    public static List<ExportedService> Ordered(IEnumerable<ExportedService> exported) =>
        [.. exported.OrderBy(one => one.Export.CreatedAt).ThenBy(one => one.Service.Cluster, StringComparer.Ordinal)];

    /// <summary>The ports of all; one that has the name, or the number and protocol, of an older one's port is left out.</summary>
    public static ValueList<OfferedPort> Ports(IReadOnlyList<ExportedService> ordered)
    {
        var ports = new List<OfferedPort>();
        foreach (var port in ordered.SelectMany(one => one.Offer.Ports))
        {
            if (!ports.Exists(known => known.Name == port.Name || (known.Number == port.Number && known.Protocol == port.Protocol))) ports.Add(port);
        }
        return ports.ToValueList();
    }

    /// <summary>What the exports say differently: a reason of the API, and who says what.</summary>
    public static IEnumerable<(string Reason, string Message)> Conflicts(IReadOnlyList<ExportedService> ordered)
    {
        foreach (var (reason, what, of) in Compared)
        {
            var said = ordered.Select(one => (one.Service.Cluster, Value: of(one))).Where(item => item.Value is not null).ToList();
            if (said.Count == 0 || said.TrueForAll(item => item.Value == said[0].Value)) continue;
            yield return (reason, $"{what}: {string.Join("; ", said.Select(item => $"{item.Cluster} has {(item.Value!.Length > 0 ? item.Value : "none")}"))}");
        }
    }

    /// <summary>In the order in which the API lists the reasons. A value that does not matter is null.</summary>
    private static readonly (string Reason, string What, Func<ExportedService, string?> Of)[] Compared =
    [
        ("PortConflict", "ports", one => string.Join(", ", one.Offer.Ports.Select(port => port.ToString()).Order(StringComparer.Ordinal))),
        ("TypeConflict", "types", one => one.Service.Headless ? "Headless" : "ClusterSetIP"),
        ("SessionAffinityConflict", "session affinity",
            one => one.Service.Headless ? null : one.Offer.SessionAffinity is { Length: > 0 } given ? given : "None"),
        ("SessionAffinityConfigConflict", "seconds of session affinity",
            one => one.Service.Headless || one.Offer.AffinitySeconds == 0 ? null : $"{one.Offer.AffinitySeconds}"),
        ("AnnotationsConflict", "exported annotations", one => Text(one.Export.Annotations)),
        ("LabelsConflict", "exported labels", one => Text(one.Export.Labels)),
        ("InternalTrafficPolicyConflict", "internalTrafficPolicy",
            one => one.Service.Headless ? null : one.Offer.InternalTrafficPolicy is { Length: > 0 } given ? given : "Cluster"),
        ("TrafficDistributionConflict", "trafficDistribution", one => one.Offer.TrafficDistribution),
    ];

    private static string Text(ValueMap<string> map) =>
        string.Join(", ", map.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));
}
