using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>A forward proxy is dialed in place of the host (Envoy's <c>http_11_proxy</c>).</summary>
/// <param name="Default">Where it is; null: only endpoints that name one have one.</param>
/// <param name="Tunnels">It is asked with CONNECT for a tunnel to the host; otherwise it gets the bytes, which then are not encrypted.</param>
internal sealed record ForwardProxyStep(EndPoint? Default, bool Tunnels) : ConnectStep
{
    private static readonly HttpLimits Limits = new(HeadBytes: 2000);

    /// <summary>The proxy in front of an endpoint; null for none.</summary>
    public EndPoint? Of(Endpoint endpoint) => endpoint.ForwardProxy ?? Default;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public override async ValueTask<Transport> TakeAsync(
        Transport transport, Endpoint endpoint, ConnectPurpose purpose, TimeSpan left, ConnectParts parts)
    {
        if (!Tunnels || Of(endpoint) is null) return transport;
        var end = endpoint.TunnelEnd;
        if (!HeadRules.IsTunnelEnd(Encoding.UTF8.GetBytes(end)))
            throw new TransportException(TransportFailure.Unreachable, $"no forward proxy can be asked for '{end}', which is not HOST:PORT");
        var isLate = false;
        using var limit = parts.Time.CreateTimer(_ =>
        {
            Volatile.Write(ref isLate, true);
            transport.Abort();
        }, null, left, Timeout.InfiniteTimeSpan);
        using var reader = new ByteReader(transport);
        try
        {
            await transport.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {end} HTTP/1.1\r\nHost: {end}\r\n\r\n")).ConfigureAwait(false);
            var answer = await AnswerAsync(reader).ConfigureAwait(false);
            if (answer.Status != 200) throw new TransportException(TransportFailure.Unreachable, $"the forward proxy answers {answer.Status} to CONNECT {end}");
        }
        catch (HttpMessageException e)
        {
            throw new TransportException(TransportFailure.Unreachable, $"the forward proxy breaks the protocol: {e.Detail}", e);
        }
        catch (TransportException e) when (Volatile.Read(ref isLate))
        {
            throw new TransportException(TransportFailure.TimedOut, $"the forward proxy does not answer to CONNECT {end}", e);
        }
        // A server that speaks first may have spoken.
        return PrecededTransport.Of(transport, reader.Available.ToArray());
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private static async ValueTask<ResponseHead> AnswerAsync(ByteReader reader)
    {
        var length = HeadParser.FindEnd(reader.Span);
        while (length < 0)
        {
            if (reader.Buffered >= Limits.HeadBytes) throw new HttpMessageException(502, "headers_too_large");
            if (await reader.FillAsync().ConfigureAwait(false) == 0)
                throw new TransportException(TransportFailure.Reset, "the forward proxy closed the connection before it answered");
            length = HeadParser.FindEnd(reader.Span);
        }
        var answer = new ResponseHead();
        HeadParser.ParseResponse(reader.Span[..length], "CONNECT", answer, Limits);
        reader.Consume(length);
        return answer;
    }
}
