using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Core.Time;
using Isthmus.Reports;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Trace;

/// <summary>Makes a call through a data plane, and uses the connection as the application would.</summary>
internal sealed class TraceCall(TimeProvider time, ICallEntry entry)
{
    private const int LongestAnswer = 64 * 1024, ShownBody = 256;

    /// <summary>A server that speaks first has done so by then.</summary>
    private static readonly TimeSpan FirstWord = TimeSpan.FromMilliseconds(500);

    public async Task<CallReport> RunAsync(CallRequest call, CancellationToken stop)
    {
        var result = new CallReport { To = call.To.ToString(), At = time.GetUtcNow() };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var timer = time.CreateTimer(static l => ((CancellationTokenSource)l!).Cancel(), limit, call.Timeout, Timeout.InfiniteTimeSpan);
        EnteredCall entered;
        try
        {
            entered = await entry.EnterAsync(call, limit.Token, stop).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            result.NotMade = e is IOException ? e.Message : "the proxy did not take the call in time";
            return result;
        }
        using var client = entered.Client;
        var start = time.GetTimestamp();
        try
        {
            await SpeakAsync(call, client, time, result, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            result.TimedOut = true;
            result.Error = $"no answer within {Durations.Text(call.Timeout)}";
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException or HttpRequestException)
        {
            result.Error = CallEnd.Told(e);
        }
        result.TookMs = Math.Round(time.GetElapsedTime(start).TotalMilliseconds, 3);
        client.Close();
        if (await entered.SeenAsync(result, stop).ConfigureAwait(false) is { } seen) result.Seen = seen;
        return result;
    }

    private static async Task SpeakAsync(CallRequest call, Socket client, TimeProvider time, CallReport result, CancellationToken stop)
    {
        if (call.Kind == CallKind.Tcp)
        {
            await ListenAsync(call, client, time, result, stop).ConfigureAwait(false);
            return;
        }
        if (call.Kind == CallKind.Grpc)
        {
            await GrpcCall.RunAsync(call, client, result, stop).ConfigureAwait(false);
            return;
        }
        Stream stream = new NetworkStream(client, ownsSocket: false);
        await using var plain = stream.ConfigureAwait(false);
        if (call.Kind == CallKind.Tls) stream = await TlsAsync(call, stream, result, stop).ConfigureAwait(false);
        await stream.WriteAsync(call.Bytes, stop).ConfigureAwait(false);
        var (answer, isWhole) = await ReadAsync(stream, call.IsWebSocket, stop).ConfigureAwait(false);
        Describe(answer, result);
        if (!isWhole) result.Error = string.Create(CultureInfo.InvariantCulture, $"the connection was reset after {answer.Length} bytes of the response");
        if (call.IsWebSocket && result.Status is { } status) result.Upgraded = status == 101;
    }

    /// <summary>Some servers speak first, some answer the data that they get, some only what they got until the end of their caller's direction, and some
    /// say nothing until they are asked: none of these is a failure.</summary>
    private static async Task ListenAsync(CallRequest call, Socket client, TimeProvider time, CallReport result, CancellationToken stop)
    {
        var buffer = new byte[ShownBody];
        if (call.Body.Length > 0) await client.SendAsync(Encoding.UTF8.GetBytes(call.Body), SocketFlags.None, stop).ConfigureAwait(false);
        using var first = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var timer = time.CreateTimer(static f => ((CancellationTokenSource)f!).Cancel(), first, FirstWord, Timeout.InfiniteTimeSpan);
        try
        {
            var count = await client.ReceiveAsync(buffer, SocketFlags.None, first.Token).ConfigureAwait(false);
            Heard(count, call.Body.Length > 0 ? "to the data" : "first");
            return;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // It waits for the caller.
        }
        client.Shutdown(SocketShutdown.Send);
        try
        {
            var count = await client.ReceiveAsync(buffer, SocketFlags.None, stop).ConfigureAwait(false);
            Heard(count, "after the end");
        }
        catch (OperationCanceledException)
        {
            (result.Received, result.Says) = (0, "nothing");
            // It may never close its side, and the proxies wait for both: a reset ends the connection.
            client.LingerState = new LingerOption(true, 0);
        }

        void Heard(int count, string when) =>
            (result.Received, result.Says, result.Body) = (count, count > 0 ? when : "closed", count > 0 ? Encoding.UTF8.GetString(buffer, 0, count) : null);
    }

    // The trace shows whether the call arrives and who answers. What clients that check would say of the certificate is judged by whoever reads the report.
#pragma warning disable CA5359
    private static async Task<Stream> TlsAsync(CallRequest call, Stream stream, CallReport result, CancellationToken stop)
    {
        var tls = new SslStream(stream);
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = HostOf(call.Authority),
                CertificateChainPolicy = PeerChain.Unjudged(),
                RemoteCertificateValidationCallback = (_, certificate, sent, _) =>
                {
                    if (certificate is not X509Certificate2 leaf) return true;
                    (result.Certificate, result.Chain) = (leaf.Subject,
                        [leaf.RawData, .. (sent?.ChainPolicy.ExtraStore ?? []).Where(above => !above.Equals(leaf)).Select(above => above.RawData)]);
                    return true;
                },
            }, stop).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or AuthenticationException or OperationCanceledException)
        {
            result.TlsFailed = true;
            throw;
        }
        return tls;
    }
#pragma warning restore CA5359

    /// <param name="onlyHead">The connection goes on after the head.</param>
    /// <returns>What came, and whether it was not cut off.</returns>
    private static async Task<(byte[] Answer, bool IsWhole)> ReadAsync(Stream stream, bool onlyHead, CancellationToken stop)
    {
        var buffer = new byte[LongestAnswer];
        var length = 0;
        try
        {
            while (length < buffer.Length && !(onlyHead && buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) >= 0)
                && await stream.ReadAsync(buffer.AsMemory(length), stop).ConfigureAwait(false) is > 0 and var count) length += count;
        }
        catch (IOException) when (length > 0)
        {
            return (buffer[..length], false);
        }
        return (buffer[..length], true);
    }

    private static void Describe(byte[] answer, CallReport result)
    {
        var end = answer.AsSpan().IndexOf("\r\n\r\n"u8);
        var lines = Encoding.ASCII.GetString(answer, 0, end < 0 ? answer.Length : end).Split("\r\n");
        if (lines[0].Split(' ', 3) is not [var version, var code, ..] || !version.StartsWith("HTTP/", StringComparison.Ordinal)
            || !int.TryParse(code, NumberStyles.None, CultureInfo.InvariantCulture, out var status))
        {
            result.Error = answer.Length == 0 ? "the connection was closed without an answer" : "the answer is not HTTP";
            return;
        }
        result.Status = status;
        result.Headers = lines.Skip(1).Select(line => line.Split(':', 2)).Where(parts => parts.Length == 2)
            .DistinctBy(parts => parts[0], StringComparer.OrdinalIgnoreCase).ToDictionary(parts => parts[0], parts => parts[1].Trim());
        var body = answer.AsSpan(end < 0 ? answer.Length : end + 4);
        result.Body = Encoding.UTF8.GetString(body[..Math.Min(body.Length, ShownBody)]);
    }

    private static string HostOf(string authority) => authority.LastIndexOf(':') is > 0 and var colon ? authority[..colon] : authority;
}
