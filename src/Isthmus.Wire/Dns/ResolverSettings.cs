using System.Globalization;
using System.Net;
using Isthmus.Core.Collections;

namespace Isthmus.Wire.Dns;

/// <summary>The settings in resolv.conf (resolv.conf(5)).</summary>
/// <param name="Dots">A name with fewer dots is first tried below the search domains.</param>
public sealed record ResolverSettings(ValueList<IPEndPoint> Servers, ValueList<string> Search, int Dots)
{
    public const string Path = "/etc/resolv.conf";

    private const int MaxServers = 8, MaxSearch = 32;

    /// <summary>The settings of this machine or container; empty when the file does not exist.</summary>
    public static ResolverSettings Load() => Parse(File.Exists(Path) ? File.ReadAllText(Path) : "");

    /// <summary>Malformed lines are skipped, as resolvers do.</summary>
    public static ResolverSettings Parse(string text)
    {
        var servers = new List<IPEndPoint>();
        IEnumerable<string> search = [];
        var dots = 1;
        foreach (var line in text.Split('\n'))
        {
            var words = line.Split('#', ';')[0].Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2) continue;
            switch (words[0])
            {
                case "nameserver" when IPAddress.TryParse(words[1], out var address): servers.Add(new(address, 53)); break;
                case "search" or "domain": search = words[1..].Select(w => w.TrimEnd('.')); break;
                case "options":
                    foreach (var option in words[1..])
                        if (option.StartsWith("ndots:", StringComparison.Ordinal)
                            && int.TryParse(option.AsSpan(6), NumberStyles.None, CultureInfo.InvariantCulture, out var n))
                            dots = Math.Min(n, 15);
                    break;
            }
        }
        return new([.. servers.Take(MaxServers)], [.. search.Where(s => s.Length > 0).Take(MaxSearch)], dots);
    }

    /// <summary>The names to try for a name, in order.</summary>
    public IEnumerable<string> Candidates(string name)
    {
        if (name.EndsWith('.')) return [name.TrimEnd('.')];
        var below = Search.Select(domain => $"{name}.{domain}");
        return name.Count(c => c == '.') >= Dots ? below.Prepend(name) : below.Append(name);
    }
}
