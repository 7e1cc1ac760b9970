using System.Globalization;
using System.Net;
using Isthmus.Core.Collections;

namespace Isthmus.Samples;

/// <summary>What resolv.conf says (resolv.conf(5)).</summary>
public sealed record ResolverSettings(ValueList<IPAddress> Servers, ValueList<string> Search, int Dots)
{
    private const string Path = "/etc/resolv.conf";
    private const int MostDots = 15;

    internal static ResolverSettings Load() => Parse(File.Exists(Path) ? File.ReadAllText(Path) : "");

    public static ResolverSettings Parse(string text)
    {
        var (servers, search, dots) = (new List<IPAddress>(), new List<string>(), 1);
        foreach (var line in text.Split('\n'))
        {
            var words = line.Split('#', ';')[0].Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
            switch (words)
            {
                case ["nameserver", var address, ..] when IPAddress.TryParse(address, out var parsed):
                    servers.Add(parsed);
                    break;
                case ["search" or "domain", .. var zones]:
                    search = [.. zones.Select(zone => zone.TrimEnd('.'))];
                    break;
                case ["options", .. var options]:
                    foreach (var option in options)
                        if (option.StartsWith("ndots:", StringComparison.Ordinal) && int.TryParse(option.AsSpan(6), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                            dots = Math.Min(number, MostDots);
                    break;
            }
        }
        if (servers.Count == 0) servers.Add(IPAddress.Loopback);
        return new([.. servers], [.. search], dots);
    }

    /// <summary>The names to try one after the other for what was typed.</summary>
    public IEnumerable<string> Candidates(string name)
    {
        if (name.EndsWith('.')) return [name.TrimEnd('.')];
        var searched = Search.Select(zone => $"{name}.{zone}");
        return name.Count(c => c == '.') >= Dots ? [name, .. searched] : [.. searched, name];
    }
}
