using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Dns.Config;
using Isthmus.Wire.Dns;
using Isthmus.Wire.Grpc;

namespace Isthmus.Dns.Plugins;

/// <summary>Queries a program that serves <c>coredns.dns.DnsService</c>: whole messages go there and come back as bytes.</summary>
internal sealed class GrpcPlugin : IDisposable
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(100);

    // DnsPacket has one field, `bytes msg = 1`: on the wire that is what BytesValue is.
    internal static readonly GrpcMethod<BytesValue, BytesValue> Query = new("coredns.dns.DnsService", "Query", BytesValue.Parser, BytesValue.Parser);

    private readonly GrpcPlan _plan;
    private readonly DnsHandler _next;
    private readonly List<GrpcChannel> _channels;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _first;

    internal GrpcPlugin(GrpcPlan plan, DnsHandler next)
    {
        (_plan, _next) = (plan, next);
        _channels = [.. plan.To.Select(target => new GrpcChannel(new(new Uri($"http://{target}")) { ConnectTimeout = AnswerWithin }))];
        _first = AwaitAnswerAsync(_stop.Token);
    }

    /// <summary>The program has answered once: before that, clients would get failures.</summary>
    internal bool Ready => _first.IsCompletedSuccessfully;

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
        foreach (var channel in _channels) channel.Dispose();
    }

    internal async ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        if (!DnsName.IsWithin(query.Name, _plan.From)) return await _next(query, stop);
        return await AskAsync(query.Message, stop) is { } message
            ? new(message with { Header = new(query.Message.Header.Id, message.Header.Flags) })
            : Replies.Failure(query, DnsCode.ServerFailure);
    }

    private async ValueTask<DnsMessage?> AskAsync(DnsMessage question, CancellationToken stop)
    {
        var packet = new BytesValue { Value = ByteString.CopyFrom(question.ToBytes()) };
        foreach (var channel in _channels)
        {
            try
            {
                var answer = await channel.UnaryAsync(Query, packet, new() { Timeout = AnswerWithin }, stop);
                if (DnsMessage.TryRead(answer.Value.Span) is { } message) return message;
            }
            catch (GrpcException)
            {
                // The next one may be there.
            }
        }
        return null;
    }

    private async Task AwaitAnswerAsync(CancellationToken stop)
    {
        var question = DnsMessage.Query(0, new DnsQuestion(_plan.From, DnsType.SOA));
        while (await AskAsync(question, stop) is null) await Task.Delay(AskAgain, stop);
    }
}
