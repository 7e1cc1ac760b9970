using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Wire.Dns;

namespace Isthmus.ControlPlane.Resolve;

/// <summary>A name server's answer for a host name.</summary>
/// <param name="Addresses">Sorted; empty when there are none, and then <paramref name="Error"/> explains why.</param>
/// <param name="Life">How long the answer may be cached: the shortest TTL of the records that led to the addresses.</param>
public sealed record NameAnswer(ValueList<Address> Addresses, TimeSpan Life, string Error)
{
    public static NameAnswer Failed(string error) => new(default, TimeSpan.Zero, error);
}

/// <summary>Resolves a host name and reports the time to live of the answer.</summary>
public interface INameClient
{
    Task<NameAnswer> AskAsync(string host, CancellationToken stop);
}

/// <summary>
/// Queries the name servers in resolv.conf, one after the other, over UDP, and over TCP if an answer does not fit. A load
/// balancer's host name is complete, so search domains do not apply.
/// </summary>
public sealed class NameClient(Func<ResolverSettings> settings, Random random, TimeProvider time) : INameClient
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private const int UdpSize = 1232;
    private const int LongestChain = 16;

    private readonly Lock _guard = new(); // Guards random.

    public async Task<NameAnswer> AskAsync(string host, CancellationToken stop)
    {
        var name = host.TrimEnd('.');
        if (!IsName(name)) return NameAnswer.Failed($"'{host}' is not a valid host name");
        var failure = NameAnswer.Failed("no name server is configured");
        foreach (var server in settings().Servers)
        {
            var answer = await AskAsync(server, name, DnsType.A, stop).ConfigureAwait(false);
            if (answer is { Addresses.IsEmpty: true, Error: NoAddress }) answer = await AskAsync(server, name, DnsType.AAAA, stop).ConfigureAwait(false);
            if (!answer.Addresses.IsEmpty) return answer;
            failure = answer;
            // A negative answer is final: another server would only repeat it.
            if (answer.Error is NoAddress or NoName) break;
        }
        return failure;
    }

    private static bool IsName(string name)
    {
        Span<byte> wire = stackalloc byte[DnsName.MaxWire];
        return name.Length is > 0 and < DnsName.MaxWire && DnsName.Write(name, wire) > 0;
    }

    private const string NoAddress = "has no address";
    private const string NoName = "does not exist";

    private async Task<NameAnswer> AskAsync(IPEndPoint server, string name, DnsType type, CancellationToken stop)
    {
        using var limit = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
        try
        {
            var query = DnsMessage.Query(NextId(), new(name, type), new Edns(UdpSize));
            DnsMessage? answer = await DnsExchange.OverUdpAsync(server, query, either.Token).ConfigureAwait(false);
            if (answer.Header.IsTruncated) answer = await DnsExchange.OverTcpAsync(server, query, either.Token).ConfigureAwait(false);
            return answer is null ? NameAnswer.Failed($"name server {server} closed the connection without an answer") : Read(answer, name, type, server);
        }
        catch (SocketException e)
        {
            return NameAnswer.Failed($"name server {server} cannot be reached: {e.SocketErrorCode}");
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return NameAnswer.Failed($"name server {server} did not answer within {Patience.TotalSeconds:0} s");
        }
    }

    /// <summary>Follows aliases inside the answer; records of other names do not count.</summary>
    internal static NameAnswer Read(DnsMessage message, string name, DnsType type, IPEndPoint server)
    {
        if (message.Header.Code == DnsCode.NameError) return NameAnswer.Failed(NoName);
        if (message.Header.Code != DnsCode.NoError) return NameAnswer.Failed($"name server {server} returned {message.Header.Code}");
        var life = uint.MaxValue;
        for (var step = 0; step < LongestChain; step++)
        {
            var ofName = message.Answers.Where(record => DnsName.Same(record.Name, name)).ToList();
            var addresses = ofName.Where(record => record.Type == type).ToList();
            if (addresses.Count > 0)
            {
                life = Math.Min(life, addresses.Min(record => record.Ttl));
                return new(addresses.Select(record => record.Content).OfType<AddressContent>().Select(content => Address.Of(content.Address)).Distinct()
                    .Order().ToValueList(),
                    TimeSpan.FromSeconds(life), "");
            }
            if (ofName.FirstOrDefault(record => record.Type == DnsType.CNAME) is not { Content: NameContent alias } record) break;
            (name, life) = (alias.Target, Math.Min(life, record.Ttl));
        }
        return NameAnswer.Failed(NoAddress);
    }

    private ushort NextId()
    {
        lock (_guard) return (ushort)random.Next(1 << 16);
    }
}
