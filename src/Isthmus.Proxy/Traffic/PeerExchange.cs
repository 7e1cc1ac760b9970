using System.Buffers.Binary;
using System.Net;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Traffic;

/// <summary>
/// Istio's metadata exchange for TCP. Peers that negotiated the ALPN protocol <c>istio-peer-exchange</c> say who they are before their
/// first byte: a magic number and a length, both big-endian, then an Any with a Struct. What the peer says is not verified; metrics
/// use it. A peer that does not speak the protocol in spite of the handshake is carried all the same, as by Istio's filter.
/// </summary>
internal sealed class PeerExchange : Transport
{
    internal const uint Magic = 0x3D230467;
    internal const int HeaderBytes = 8;

    /// <summary>A longer introduction is skipped, not kept.</summary>
    internal const int MostBytes = 16 * 1024;

    private const string Metadata = "x-envoy-peer-metadata", MetadataId = "x-envoy-peer-metadata-id";

    private readonly Transport _inner;
    private readonly ReadOnlyMemory<byte> _introduction;
    private bool _isRead;

    private PeerExchange(Transport inner, ReadOnlyMemory<byte> introduction)
    {
        _inner = inner;
        _introduction = introduction;
    }

    /// <summary>What the peer said, in the form of the HTTP field <c>x-envoy-peer-metadata</c>; empty until it was read, and when it was not
    /// understood.</summary>
    public string PeerMetadata { get; private set; } = "";

    /// <summary>Whether the peer has said who it is, or carries data without.</summary>
    public bool IsIntroduced => Volatile.Read(ref _isRead);

    public override EndPoint? Local => _inner.Local;

    public override EndPoint? Remote => _inner.Remote;

    public override TlsPeer? Peer => _inner.Peer;

    public override bool IsQuiet => _inner.IsQuiet;

    public override Action? Suspected { get => _inner.Suspected; set => _inner.Suspected = value; }

    /// <summary>The exchange over a transport whose peer agreed to it; the transport itself otherwise.</summary>
    /// <param name="introduction">What <see cref="Introduction"/> returned.</param>
    public static Transport Over(Transport transport, ReadOnlyMemory<byte> introduction) =>
        transport.Peer is { Alpn: Alpn.IstioPeerExchange } ? new PeerExchange(transport, introduction) : transport;

    /// <summary>What a proxy says about itself, as it is sent.</summary>
    public static byte[] Introduction(ProxyIdentity self)
    {
        var said = new Struct { Fields = { [MetadataId] = Value.ForString(self.NodeId) } };
        if (self.PeerMetadata.Length > 0) said.Fields[Metadata] = Value.ForStruct(Struct.Parser.ParseFrom(Convert.FromBase64String(self.PeerMetadata)));
        var body = TypeNames.Pack(said).ToByteArray();
        var bytes = new byte[HeaderBytes + body.Length];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), (uint)body.Length);
        body.CopyTo(bytes, HeaderBytes);
        return bytes;
    }

    public override ValueTask BeginWriteAsync() => _inner.WriteAsync(_introduction);

    public override ValueTask<int> ReadAsync(Memory<byte> into) => _isRead || into.IsEmpty ? _inner.ReadAsync(into) : ReadFirstAsync(into);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes) => _inner.WriteAsync(bytes);

    public override ValueTask WriteLastAsync(ReadOnlyMemory<byte> bytes) => _inner.WriteLastAsync(bytes);

    public override ValueTask CloseWriteAsync() => _inner.CloseWriteAsync();

    public override void Abort(bool reset = false) => _inner.Abort(reset);

    /// <summary>Reads the introduction and the first bytes after it.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<int> ReadFirstAsync(Memory<byte> into)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(into.Length, HeaderBytes);
        var count = 0;
        while (count < HeaderBytes)
        {
            var read = await _inner.ReadAsync(into[count..]).ConfigureAwait(false);
            count += read;
            if (read > 0 && CanBeHeader(into.Span[..count])) continue;
            Volatile.Write(ref _isRead, true);
            return count;
        }
        var left = await ReadIntroductionAsync(into, count - HeaderBytes).ConfigureAwait(false);
        Volatile.Write(ref _isRead, true);
        return left != 0 ? Math.Max(left, 0) : await _inner.ReadAsync(into).ConfigureAwait(false);
    }

    /// <returns>How many bytes behind the introduction are in the buffer; -1 when the stream ended within the introduction.</returns>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<int> ReadIntroductionAsync(Memory<byte> into, int count)
    {
        long length = BinaryPrimitives.ReadUInt32BigEndian(into.Span[4..]);
        var said = length <= MostBytes ? new byte[length] : null;
        into.Slice(HeaderBytes, count).CopyTo(into);
        for (long at = 0; ;)
        {
            var part = (int)Math.Min(count, length - at);
            if (said is not null) into[..part].CopyTo(said.AsMemory((int)at));
            at += part;
            if (at == length)
            {
                if (said is not null) PeerMetadata = Read(said);
                into[part..count].CopyTo(into);
                return count - part;
            }
            count = await _inner.ReadAsync(into).ConfigureAwait(false);
            if (count == 0) return -1;
        }
    }

    private static bool CanBeHeader(ReadOnlySpan<byte> bytes)
    {
        Span<byte> magic = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(magic, Magic);
        return bytes.Length < magic.Length ? magic.StartsWith(bytes) : bytes.StartsWith(magic);
    }

    private static string Read(byte[] said)
    {
        try
        {
            var fields = Struct.Parser.ParseFrom(Any.Parser.ParseFrom(said).Value).Fields;
            return fields.TryGetValue(Metadata, out var metadata) && metadata.StructValue is { } values ? Convert.ToBase64String(values.ToByteArray()) : "";
        }
        catch (InvalidProtocolBufferException)
        {
            return "";
        }
    }
}
