using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Effects.KnownKinds;

/// <summary>Server names and ClientHellos, from Gateway objects to the connection.</summary>
public sealed class ServerNameKindsTests
{
    private const string Orders = "outbound_.80_._.orders.shop.svc.cluster.local";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Port 15443 passes TLS on to the services of the mesh, and to nothing else that the proxy knows.</summary>
    [Theory]
    [InlineData(Orders, true)]
    [InlineData("OUTBOUND_.80_._.Orders.Shop.svc.cluster.local", true)] // names have no case
    [InlineData(Orders + ".", false)]
    [InlineData("outbound_.81_._.orders.shop.svc.cluster.local", false)]
    [InlineData("outbound_.80_.v9_.orders.shop.svc.cluster.local", false)]
    [InlineData("outbound_.80_._.unknown.shop.svc.cluster.local", false)]
    [InlineData("outbound_.80_._.orders.shop.svc.cluster.local.example", false)]
    [InlineData("outbound_.80_._.*.shop.svc.cluster.local", false)]
    [InlineData("outbound|80||orders.shop.svc.cluster.local", false)]
    [InlineData("inbound|8080||", false)]
    [InlineData("orders.shop.svc.cluster.local", false)]
    [InlineData("outbound_", false)]
    [InlineData("local", false)]
    [InlineData("passthroughcluster", false)]
    [InlineData("blackholecluster", false)]
    [InlineData("prometheus_stats", false)]
    [InlineData("agent", false)]
    [InlineData("xds-grpc", false)]
    [InlineData("127.0.0.1", false)]
    [InlineData("a b.local", false)]
    [InlineData("a\0.local", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    [InlineData(Orders + "|twice.local", false)]
    public async Task Only_the_names_of_services_lead_through_an_east_west_gateway(string? name, bool passes)
    {
        using var server = new ByteServer(proxy => proxy.HearAllAsync());
        using var gateway = PassThrough(server.Port);
        var hello = Record(Hello(name?.Split('|')));
        Assert.Equal(passes, await PassesAsync(gateway, server, hello));
        Assert.Equal(passes ? [hello] : [], server.Heard.Select(Encoding.Latin1.GetBytes));
    }

    [Theory]
    [InlineData(0, 1, true)]
    [InlineData(1500, 1, true)] // as large as key shares after quantum computers make it
    [InlineData(9000, 1000, true)]
    [InlineData(9000, 1, false)] // 54 KiB of records
    [InlineData(16_000, 16_000, true)]
    [InlineData(17_000, 16_000, false)]
    [InlineData(60_000, 16_000, false)]
    public async Task A_hello_in_pieces_is_read_whole_or_not_at_all(int padding, int piece, bool passes)
    {
        using var server = new ByteServer(proxy => proxy.HearAllAsync());
        using var gateway = PassThrough(server.Port);
        var records = Hello([Orders], padding).Chunk(piece).SelectMany(Record).ToArray();
        Assert.Equal(passes, await PassesAsync(gateway, server, records));
        Assert.Equal(passes ? [records] : [], server.Heard.Select(Encoding.Latin1.GetBytes));
    }

    /// <summary>Whoever cuts its hello into pieces gets the rules of the host that it names.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_000)]
    public async Task A_hello_in_pieces_does_not_pass_by_a_client_certificate(int piece)
    {
        using var gateway = new GatewayProxy(
            ("*.b.example.com", "mode: SIMPLE, serverCertificate: /ec, privateKey: /ec"),
            ("a.example.com", "mode: MUTUAL, serverCertificate: /ec, privateKey: /ec, caCertificates: /ca"));
        Stream Cut(Stream wire) => new FirstRecordInPieces(wire, piece);
        using var certificate = GatewayProxy.Clients.Server("client.example");
        Assert.NotNull(await gateway.CallAsync(Cut, "x.b.example.com"));
        Assert.Null(await gateway.CallAsync(Cut, "a.example.com"));
        Assert.NotNull(await gateway.CallAsync(Cut, "a.example.com", certificate));
    }

    private static GatewayProxy PassThrough(int port)
    {
        var rig = new MeshRig("c1");
        rig.Service("c1", "orders", "10.96.0.10", target: port);
        rig.Pod("c1", "orders", "orders-0", "127.0.0.1");
        rig.Slice("c1", "orders", port, "http", ("orders-0", "127.0.0.1"));
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: cross, namespace: shop}
            spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, hosts: ['*.local'], tls: {mode: AUTO_PASSTHROUGH}}]}
            """);
        return new(rig);
    }

    /// <summary>Whether the bytes arrive at the server; otherwise the gateway closes.</summary>
    private static async Task<bool> PassesAsync(GatewayProxy gateway, ByteServer server, byte[] bytes)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, gateway.Port, Stop);
        try
        {
            await socket.SendAsync(bytes, Stop);
            var closed = socket.ReceiveAsync(new byte[1], SocketFlags.None, Stop).AsTask();
            await Eventually.TrueAsync(() => closed.IsCompleted || (server.Heard is [var heard] && heard.Length == bytes.Length));
            return !closed.IsCompleted;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static byte[] Record(byte[] part) => [22, 3, 1, .. Number(part.Length), .. part];

    /// <summary>The ClientHello of a proxy of the mesh with these names in its extension; null: without the extension.</summary>
    private static byte[] Hello(string[]? names, int padding = 0)
    {
        byte[] list = [.. (names ?? []).SelectMany(name => (byte[])[0, .. Number(name.Length), .. Encoding.Latin1.GetBytes(name)])];
        byte[] named = names is null ? [] : [.. Number(0), .. Number(list.Length + 2), .. Number(list.Length), .. list];
        byte[] protocols = [.. Number(16), .. Number(8), .. Number(6), 5, .. "istio"u8];
        byte[] padded = [.. Number(21), .. Number(padding), .. new byte[padding]];
        byte[] body = [3, 3, .. new byte[32], 0, .. Number(2), 0x13, 1, 1, 0, .. Number(named.Length + protocols.Length + padded.Length), .. named,
            .. protocols, .. padded];
        return [1, (byte)(body.Length >> 16), .. Number(body.Length & 0xffff), .. body];
    }

    private static byte[] Number(int value)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)value);
        return bytes;
    }

    /// <summary>Carries a TLS connection whose first record is sent as many.</summary>
    private sealed class FirstRecordInPieces(Stream wire, int piece) : Stream
    {
        private bool _isCut;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush() => wire.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => wire.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => wire.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer,
            CancellationToken cancellationToken = default) => wire.ReadAsync(buffer, cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_isCut)
            {
                await wire.WriteAsync(buffer, cancellationToken);
                return;
            }
            _isCut = true;
            Assert.Equal(22, buffer.Span[0]);
            Assert.Equal(buffer.Length - 5, BinaryPrimitives.ReadUInt16BigEndian(buffer.Span[3..]));
            await wire.WriteAsync(buffer[5..].ToArray().Chunk(piece).SelectMany(Record).ToArray(), cancellationToken);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) wire.Dispose();
            base.Dispose(disposing);
        }
    }
}
