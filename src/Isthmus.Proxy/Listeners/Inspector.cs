using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Tls;
using Spoken = Isthmus.Wire.Reports.SpokenPort.Types.Protocol;

namespace Isthmus.Proxy.Listeners;

/// <summary>What the first bytes of a connection revealed.</summary>
/// <param name="Timeout">The client was silent until the timeout.</param>
/// <param name="IsClosed">The client closed before it sent enough.</param>
internal readonly record struct Inspection(
    string TransportProtocol, string ServerName, IReadOnlyList<string> Protocols, bool Timeout, bool IsClosed)
{
    public EcdsaSupport Ecdsa { get; init; }

    /// <summary>The HTTP that a client speaks to a port of the application where nothing depends on that; null: none, or it was not looked for.</summary>
    public Spoken? Plain { get; init; }
}

/// <summary>Reads the first bytes of a connection, puts them back, and detects the protocol (Envoy's tls_inspector and
/// http_inspector).</summary>
internal sealed class Inspector(SnapshotState state, TimeProvider time)
{
    /// <summary>How long a client may be silent before its protocol counts as server-first.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(1);

    /// <summary>The same where continuing without knowledge means leaving the mesh: a client that opened a connection in
    /// advance is likelier.</summary>
    private static readonly TimeSpan LongSilence = TimeSpan.FromSeconds(10);

    private static readonly string[] Http11 = ["http/1.1"];
    private static readonly string[] Http10 = ["http/1.0"];
    private static readonly string[] H2c = ["h2c"];

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<Inspection> InspectAsync(SocketTransport transport, ListenerSnapshot listener, int destinationPort, CancellationToken stop)
    {
        var needsHello = listener.Chains.NeedsHello(destinationPort);
        var wantsTls = needsHello || (listener.InspectTls?.Contains(destinationPort) ?? false);
        var wantsHttp = listener.InspectHttp?.Contains(destinationPort) ?? false;
        var result = new Inspection("raw_buffer", "", [], false, false);
        if ((!wantsTls && !wantsHttp) || !(needsHello || listener.Chains.NeedsBytes(destinationPort))) return result;
        var buffer = Buffers<byte>.Rent(4096);
        var length = 0;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var timer = time.CreateTimer(static l => ((CancellationTokenSource)l!).Cancel(), limit, Patience(listener),
            System.Threading.Timeout.InfiniteTimeSpan);
        try
        {
            while (true)
            {
                // What follows a PROXY header was read with it, and fits into the buffer.
                var count = transport.HasUnread
                    ? transport.TryRead(buffer)
                    : await transport.Loop.ReceiveAsync(buffer.AsMemory(length), limit.Token).ConfigureAwait(false);
                length += count;
                var decided = Decide(buffer.AsSpan(0, length), wantsTls, wantsHttp, ref result);
                if (decided && !wantsHttp && listener.Direction == Direction.Inbound && result.TransportProtocol != "tls")
                    return result with { Plain = Plain(buffer.AsSpan(0, length)) };
                if (decided || count == 0) return result with { IsClosed = count == 0 && length == 0 };
                if (length == buffer.Length && !Grow(ref buffer)) return result;
            }
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return result with { Timeout = true };
        }
        catch (SocketException e)
        {
            throw TransportException.From(e);
        }
        catch (ObjectDisposedException e)
        {
            throw new TransportException(TransportFailure.Aborted, "closed", e);
        }
        finally
        {
            if (length > 0) transport.Unread(buffer.AsSpan(0, length).ToArray());
            Buffers<byte>.Return(buffer);
        }
    }

    /// <summary>Whether the bytes determine the protocol; fills in what they reveal.</summary>
    internal static bool Decide(ReadOnlySpan<byte> bytes, bool wantsTls, bool wantsHttp, ref Inspection result)
    {
        if (bytes.IsEmpty) return false;
        if (wantsTls)
        {
            switch (ClientHello.TryRead(bytes, out var hello))
            {
                case HelloStatus.Incomplete:
                    return false;
                case HelloStatus.Complete:
                    result = result with
                    {
                        TransportProtocol = "tls", ServerName = hello!.ServerName ?? "", Protocols = hello.ApplicationProtocols, Ecdsa = hello.Ecdsa
                    };
                    return true;
            }
        }
        if (!wantsHttp) return true;
        switch (LookForHttp(bytes))
        {
            case HttpLook.Maybe: return false;
            case HttpLook.H2c: result = result with { Protocols = H2c }; return true;
            case HttpLook.Http11: result = result with { Protocols = Http11 }; return true;
            case HttpLook.Http10: result = result with { Protocols = Http10 }; return true;
            default: return true;
        }
    }

    private static Spoken? Plain(ReadOnlySpan<byte> bytes) => LookForHttp(bytes) switch
    {
        HttpLook.H2c => Spoken.Http2,
        HttpLook.Http11 or HttpLook.Http10 => Spoken.Http1,
        _ => null,
    };

    private enum HttpLook { No, Maybe, Http10, Http11, H2c }

    private static HttpLook LookForHttp(ReadOnlySpan<byte> bytes)
    {
        var preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;
        if (bytes.StartsWith(preface)) return HttpLook.H2c;
        if (bytes.Length < preface.Length && preface.StartsWith(bytes)) return HttpLook.Maybe;
        var space = bytes.IndexOf((byte)' ');
        var method = space < 0 ? bytes : bytes[..space];
        if (method.Length > 32 || method.IsEmpty || method.ContainsAnyExceptInRange((byte)'A', (byte)'Z')) return HttpLook.No;
        if (space < 0) return HttpLook.Maybe;
        var end = bytes.IndexOf("\r\n"u8);
        if (end < 0) return bytes.Contains((byte)'\n') ? HttpLook.No : HttpLook.Maybe;
        var line = bytes[..end];
        return line.EndsWith(" HTTP/1.1"u8) ? HttpLook.Http11 : line.EndsWith(" HTTP/1.0"u8) ? HttpLook.Http10 : HttpLook.No;
    }

    internal TimeSpan Patience(ListenerSnapshot listener)
    {
        if (listener.InspectionTimeout > TimeSpan.Zero) return listener.InspectionTimeout;
        if (listener.Direction == Direction.Inbound) return Silence;
        var byDefault = listener.Chains.All[^1];
        var leaves = byDefault.Action is TcpAction tcp && tcp.Targets.Any(target => LeavesMesh(target.Cluster));
        return leaves || byDefault.Action is HttpAction ? LongSilence : Silence;
    }

    /// <summary>Clusters without a service: passthrough (to the original destination) and black hole.</summary>
    private bool LeavesMesh(string name) => state.Current.Clusters.TryGetValue(name, out var cluster)
        && (cluster.Config.Kind == ClusterKind.OriginalDst || (cluster.Config.Kind == ClusterKind.Static && cluster.Hosts.All.Count == 0));

    private static bool Grow(ref byte[] buffer)
    {
        if (buffer.Length >= ClientHello.MaxSize) return false;
        var next = Buffers<byte>.Rent(buffer.Length * 2);
        buffer.CopyTo(next, 0);
        Buffers<byte>.Return(buffer);
        buffer = next;
        return true;
    }
}
