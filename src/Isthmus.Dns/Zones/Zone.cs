using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Zones;

/// <summary>Names of zones, and a zone's SOA record.</summary>
internal static class Zone
{
    internal static DnsRecord Authority(string zone, uint ttl) => new(zone, ttl, new AuthorityContent(
        Below("ns.dns", zone), Below("hostmaster", zone), 1, 7200, 1800, 86400, ttl));

    /// <summary>The longest of the zones that contain the name; null when none does.</summary>
    internal static string? Match(IEnumerable<string> zones, string name)
    {
        string? best = null;
        foreach (var zone in zones)
            if (DnsName.IsWithin(name, zone) && (best is null || zone.Length > best.Length)) best = zone;
        return best;
    }

    private static string Below(string name, string zone) => zone.Length == 0 ? name : $"{name}.{zone}";
}
