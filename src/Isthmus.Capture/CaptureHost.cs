using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Collections;

namespace Isthmus.Capture;

/// <summary>What the rules depend on besides the flags.</summary>
/// <param name="UserMap">Text of /proc/self/uid_map: which user IDs exist here.</param>
/// <param name="NameServers">IPv4 servers of resolv.conf.</param>
internal sealed record CaptureHost(string UserMap, ValueList<IPAddress> NameServers)
{
    public static CaptureHost Read() => new(TextOf("/proc/self/uid_map"), Servers(TextOf("/etc/resolv.conf")));

    /// <summary>An unmapped ID can never own a socket here, so a rule for it would have no effect.</summary>
    public bool Exists(int user)
    {
        foreach (var line in UserMap.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length == 3 && uint.TryParse(parts[0], CultureInfo.InvariantCulture, out var first)
                && uint.TryParse(parts[2], CultureInfo.InvariantCulture, out var count) && user >= first && user - first < count) return true;
        }
        return false;
    }

    public static ValueList<IPAddress> Servers(string resolvConf) =>
    [
        .. resolvConf.Split('\n')
            .Select(line => line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
            .Where(words => words.Length >= 2 && words[0] == "nameserver")
            .Select(words => IPAddress.TryParse(words[1], out var address) ? address : null)
            .OfType<IPAddress>().Where(address => address.AddressFamily == AddressFamily.InterNetwork),
    ];

    private static string TextOf(string file) => File.Exists(file) ? File.ReadAllText(file) : "";
}
