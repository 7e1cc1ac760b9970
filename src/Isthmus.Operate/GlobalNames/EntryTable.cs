using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Wire.Dns;

namespace Isthmus.Operate.GlobalNames;

/// <summary>The addresses of the hosts that ServiceEntries name, as of one moment.</summary>
/// <param name="Hosts">Lower case, without final dot; a wildcard as the suffix that it stands for, with its leading dot.</param>
public sealed record EntryTable(ValueMap<ValueList<IPAddress>> Hosts)
{
    private const int MaxHosts = 100_000;

    public static readonly EntryTable Empty = new(default(ValueMap<ValueList<IPAddress>>));

    /// <param name="byDefault">The address of hosts whose entries name none; null if they have no record.</param>
    public static EntryTable Of(IEnumerable<JsonObject> entries, IPAddress? byDefault)
    {
        var hosts = new SortedDictionary<string, List<IPAddress>>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            // With NONE the address is the one that the application dials: there is none to return.
            if (entry["spec"] is not JsonObject spec || spec["resolution"]?.ToString() is null or "NONE") continue;
            var addresses = Texts(spec["addresses"]).Select(Address).OfType<IPAddress>().ToList();
            if (addresses.Count == 0 && !Texts(spec["addresses"]).Any() && byDefault is not null) addresses.Add(byDefault);
            if (addresses.Count == 0) continue;
            foreach (var host in Texts(spec["hosts"]))
            {
                if (Key(host) is not { } key || hosts.Count >= MaxHosts) continue;
                var known = hosts.TryGetValue(key, out var list) ? list : hosts[key] = [];
                known.AddRange(addresses.Except(known));
            }
        }
        return new(hosts.Select(host => KeyValuePair.Create(host.Key, host.Value.ToValueList())).ToValueMap());
    }

    /// <summary>The addresses of a name, exact before the longest wildcard; null when no entry names it.</summary>
    public ValueList<IPAddress>? Find(string name)
    {
        if (Hosts.TryGetValue(name, out var exact)) return exact;
        for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
        {
            if (Hosts.TryGetValue(name[dot..], out var wild)) return wild;
        }
        return null;
    }

    /// <summary>The differences from an earlier table, as log lines.</summary>
    public IEnumerable<string> NewsSince(EntryTable before)
    {
        foreach (var (host, addresses) in Hosts)
        {
            if (!before.Hosts.TryGetValue(host, out var known) || known != addresses) yield return $"adding DNS mapping: {host}.->{Print(addresses)}";
        }
        foreach (var (host, _) in before.Hosts)
        {
            if (!Hosts.ContainsKey(host)) yield return $"removing DNS mapping: {host}.";
        }
    }

    internal static string Print(ValueList<IPAddress> addresses) => $"[{string.Join(' ', addresses)}]";

    private static string? Key(string host)
    {
        var name = host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host;
        if (name.Contains('*', StringComparison.Ordinal) || DnsName.Write(name, stackalloc byte[256]) < 0) return null;
        return (host == name ? name : $".{name}").TrimEnd('.').ToLowerInvariant();
    }

    /// <summary>An address, possibly written as a range of one; wider ranges are not an address.</summary>
    private static IPAddress? Address(string text)
    {
        var bare = text.EndsWith("/32", StringComparison.Ordinal) ? text[..^3] : text;
        return IPAddress.TryParse(bare, out var address) && address.AddressFamily == AddressFamily.InterNetwork ? address : null;
    }

    private static IEnumerable<string> Texts(JsonNode? list) => (list as JsonArray ?? []).OfType<JsonValue>().Select(value => value.ToString());
}
