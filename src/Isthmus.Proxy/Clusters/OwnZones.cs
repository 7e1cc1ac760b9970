namespace Isthmus.Proxy.Clusters;

/// <summary>How a cluster is zone aware.</summary>
/// <param name="Part">The part of the requests for which it is, from 0 to 1.</param>
/// <param name="MinHosts">With fewer healthy hosts, it is not.</param>
internal sealed record ZoneAwareness(double Part, ulong MinHosts);

/// <summary>A locality, whose parts may be empty.</summary>
internal readonly record struct Zone(string Region, string Name, string Subzone)
{
    public static Zone Of(LocalityEndpoints locality) => new(locality.Region, locality.Zone, locality.Subzone);
}

/// <summary>Where this workload and its like are: they call from there, each as much as the others.</summary>
internal sealed class OwnZones
{
    /// <summary>The name of the load assignment that says it, as in Envoys of Istio.</summary>
    public const string Assignment = "local_cluster";

    private readonly Dictionary<Zone, double> _parts;

    private OwnZones(Zone here, Dictionary<Zone, double> parts) => (Here, _parts) = (here, parts);

    /// <summary>The zone of this proxy.</summary>
    public Zone Here { get; }

    /// <summary>The part of the callers that is in a zone.</summary>
    public double Part(Zone zone) => _parts.GetValueOrDefault(zone);

    /// <param name="address">The address of this proxy, by which it finds itself.</param>
    /// <returns>Null when it is not among them: nothing is known of the place.</returns>
    public static OwnZones? Of(LoadAssignment assignment, string address)
    {
        Zone? here = null;
        var counts = new Dictionary<Zone, double>();
        foreach (var locality in assignment.Localities)
        {
            var zone = Zone.Of(locality);
            foreach (var endpoint in locality.Endpoints)
            {
                if (endpoint.Address is System.Net.IPEndPoint ip && ip.Address.ToString() == address) here = zone;
                if (endpoint.Health == EndpointHealth.Healthy) counts[zone] = counts.GetValueOrDefault(zone) + 1;
            }
        }
        var total = counts.Values.Sum();
        return here is { } known && total > 0 ? new(known, counts.ToDictionary(pair => pair.Key, pair => pair.Value / total)) : null;
    }
}
