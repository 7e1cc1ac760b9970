using System.Globalization;
using System.Net;

namespace Isthmus.Proxy.Trace;

/// <summary>Where programs of this Pod accept TCP connections: read from the kernel, since all containers share one network
/// namespace.</summary>
internal static class ListeningPorts
{
    private const string Listen = "0A";

    public static IReadOnlyList<IPEndPoint> Read() =>
        [.. ((string[])["/proc/net/tcp", "/proc/net/tcp6"]).Where(File.Exists).SelectMany(file => Parse(File.ReadLines(file))).Distinct()];

    /// <summary>Reads proc_net_tcp(5): addresses in hexadecimal, each word of four bytes in the machine's order. The kernel lists
    /// listening sockets first (Documentation/networking/proc_net_tcp.rst), so nothing after them is read: a busy Pod has thousands
    /// of connections.</summary>
    /// <param name="lines">The first one is the heading.</param>
    public static IEnumerable<IPEndPoint> Parse(IEnumerable<string> lines)
    {
        foreach (var line in lines.Skip(1))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 4 || words[3] != Listen) yield break;
            if (words[1].Split(':') is not [var address, var port]) continue;
            if (Address(address) is { } ip && int.TryParse(port, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var number))
                yield return new(ip, number);
        }
    }

    private static IPAddress? Address(string hex)
    {
        if (hex.Length is not (8 or 32)) return null;
        var bytes = new byte[hex.Length / 2];
        if (Convert.FromHexString(hex, bytes, out _, out _) != System.Buffers.OperationStatus.Done) return null;
        if (BitConverter.IsLittleEndian)
            for (var i = 0; i < bytes.Length; i += 4) bytes.AsSpan(i, 4).Reverse();
        return new(bytes);
    }
}
