using System.Net;
using System.Net.Sockets;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Dns;

/// <summary>Resolves names for the proxy itself, past its own traffic capture and past the system's resolver, whose sockets
/// carry no mark.</summary>
internal sealed class NameLookup(ResolverSettings settings, Upstream upstream, Func<string> hosts, Random random)
{
    /// <summary>Guards <see cref="Random"/>: lookups run on many threads.</summary>
    private readonly Lock _randomLock = new();

    /// <returns>IPv4 addresses first; none when there is no such name. The TTL is zero for names in /etc/hosts.</returns>
    /// <exception cref="SocketException">No name server answered.</exception>
    public async ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop)
    {
        if (IPAddress.TryParse(name, out var literal)) return ([literal], TimeSpan.Zero);
        if (FromHosts(hosts(), name) is { Count: > 0 } known) return (known, TimeSpan.Zero);
        var silent = false;
        foreach (var candidate in settings.Candidates(name))
        {
            if (!IsName(candidate)) continue;
            var both = await Task.WhenAll(AskAsync(candidate, DnsType.A, stop), AskAsync(candidate, DnsType.AAAA, stop)).ConfigureAwait(false);
            var records = both.SelectMany(m => m?.Answers.Items ?? []).ToArray();
            var addresses = records.Select(r => r.Content).OfType<AddressContent>().Select(a => a.Address).Distinct().ToArray();
            if (addresses.Length > 0) return (addresses, TimeSpan.FromSeconds(records.Min(r => r.Ttl)));
            silent |= both.Any(m => m is null || m.Header.Code == DnsCode.ServerFailure);
        }
        return silent ? throw new SocketException((int)SocketError.TryAgain) : ([], TimeSpan.Zero);
    }

    internal static IReadOnlyList<IPAddress> FromHosts(string text, string name) =>
    [
        .. text.Split('\n')
            .Select(line => line.Split('#')[0].Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries))
            .Where(words => words.Length > 1 && words.Skip(1).Any(w => DnsName.Same(w, name.TrimEnd('.'))))
            .Select(words => IPAddress.TryParse(words[0], out var address) ? address : null).OfType<IPAddress>()
            .OrderBy(address => address.AddressFamily == AddressFamily.InterNetworkV6),
    ];

    private async Task<DnsMessage?> AskAsync(string name, DnsType type, CancellationToken stop)
    {
        var query = DnsMessage.Query(NextId(), new(name, type), new(1232)).ToBytes();
        if (await upstream.AskAsync(query, tcp: false, stop).ConfigureAwait(false) is not { } bytes) return null;
        var answer = DnsMessage.TryRead(bytes);
        if (answer is not { Header.IsTruncated: true }) return answer;
        return await upstream.AskAsync(query, tcp: true, stop).ConfigureAwait(false) is { } whole ? DnsMessage.TryRead(whole) : answer;
    }

    private static bool IsName(string text)
    {
        Span<byte> wire = stackalloc byte[DnsName.MaxWire + 1];
        return DnsName.Write(text, wire) >= 0;
    }

    private ushort NextId()
    {
        lock (_randomLock) return (ushort)random.Next(ushort.MaxValue + 1);
    }
}
