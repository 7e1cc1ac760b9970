using System.Net;
using Isthmus.Dns.Config;
using Isthmus.Dns.Plugins;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Libraries.Dns;

public sealed class CachePluginTests
{
    private static readonly IPAddress Address = IPAddress.Parse("240.0.0.2");

    private readonly Clock _clock = new();
    private bool _isAway;

    [Theory]
    [InlineData(0, false)]
    [InlineData(3600, true)]
    public async Task Answers_and_denials_that_are_over_are_served_while_nobody_can_be_asked(int staleSeconds, bool served)
    {
        var cache = new CachePlugin(new CachePlan(30, 30, [""], 1) { ServeStale = TimeSpan.FromSeconds(staleSeconds) }, _clock, new(),
            (query, _) => new(Other(query)));
        Assert.Equal((DnsCode.NoError, 1), await AskAsync(cache, DnsType.A));
        Assert.Equal((DnsCode.NoError, 0), await AskAsync(cache, DnsType.AAAA));
        _isAway = true;
        _clock.Now += TimeSpan.FromSeconds(60);
        Assert.Equal(served ? (DnsCode.NoError, 1) : (DnsCode.ServerFailure, 0), await AskAsync(cache, DnsType.A));
        Assert.Equal(served ? (DnsCode.NoError, 0) : (DnsCode.ServerFailure, 0), await AskAsync(cache, DnsType.AAAA));
        Assert.Equal((DnsCode.ServerFailure, 0), await AskAsync(cache, DnsType.TXT));
        _clock.Now += TimeSpan.FromHours(2);
        Assert.Equal((DnsCode.ServerFailure, 0), await AskAsync(cache, DnsType.A));
    }

    /// <summary>It has an address of one kind, and caches the absence of the other kind for five seconds.</summary>
    private DnsReply Other(DnsQuery query)
    {
        if (_isAway) return Replies.Failure(query, DnsCode.ServerFailure);
        DnsRecord[] records = query.Type == DnsType.A ? [new(query.Question.Name, 30, new AddressContent(Address))] : [];
        return new(Replies.Authoritative(query, DnsCode.NoError, records, "global", 5));
    }

    private static async Task<(DnsCode Code, int Answers)> AskAsync(CachePlugin cache, DnsType type)
    {
        var message = DnsMessage.Query(7, new DnsQuestion("orders.shop.global", type));
        var reply = await cache.AnswerAsync(new(message, "orders.shop.global", new(IPAddress.Loopback, 9), OverTcp: false),
            TestContext.Current.CancellationToken);
        return (reply.Message.Header.Code, reply.Message.Answers.Count);
    }

    /// <summary>Time that passes only when a test advances it.</summary>
    private sealed class Clock : TimeProvider
    {
        internal TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
