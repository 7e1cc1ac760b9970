using System.Buffers.Binary;
using System.Net.Security;
using System.Security.Authentication;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Testing;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Tls;

public sealed class ClientHelloTests
{
    private const string Name = "outbound_.5000_._.shop.sample.svc.cluster.local";

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public void Hello_of_a_real_client_tells_name_and_protocols(SslProtocols version)
    {
        Assert.Equal(HelloStatus.Complete, ClientHello.TryRead(RealHello(Name, [Alpn.IstioHttp11, Alpn.Istio, "own/1"], version), out var hello));
        Assert.Equal(Name, hello!.ServerName);
        Assert.Equal([Alpn.IstioHttp11, Alpn.Istio, "own/1"], hello.ApplicationProtocols);
    }

    [Fact]
    public void Hello_without_extensions_we_read_has_neither_name_nor_protocols()
    {
        Assert.Equal(HelloStatus.Complete, ClientHello.TryRead(RealHello("", [], SslProtocols.Tls13), out var hello));
        Assert.Equal(new ClientHello(null, []), hello! with { Ecdsa = default });
    }

    [Theory]
    [InlineData(SslProtocols.Tls12, TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true)]
    [InlineData(SslProtocols.Tls12, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, false)]
    [InlineData(SslProtocols.Tls13, TlsCipherSuite.TLS_AES_128_GCM_SHA256, false)]
    public void Hello_of_a_real_client_tells_which_ECDSA_keys_it_verifies(SslProtocols version, TlsCipherSuite suite, bool in12)
    {
        ClientHello.TryRead(RealHello(Name, [], version, suite), out var hello);
        const EcdsaCurves All = EcdsaCurves.P256 | EcdsaCurves.P384 | EcdsaCurves.P521;
        Assert.Equal(new EcdsaSupport(version == SslProtocols.Tls13, All, in12 ? All : EcdsaCurves.None), hello!.Ecdsa);
    }

    [Fact]
    public void Every_beginning_of_a_hello_is_incomplete_and_what_follows_it_does_not_matter()
    {
        var whole = RealHello(Name, ["h2"], SslProtocols.Tls13);
        for (var length = 0; length < whole.Length; length++)
            Assert.Equal(HelloStatus.Incomplete, ClientHello.TryRead(whole.AsSpan(0, length), out _));
        Assert.Equal(HelloStatus.Complete, ClientHello.TryRead([.. whole, 1, 2, 3], out _));
    }

    [Fact]
    public void Hello_that_is_split_into_many_records_reads_the_same() =>
        Prop.ForAll(Gen.Choose(1, 600).ToArbitrary(), size =>
        {
            var whole = RealHello(Name, ["h2", "http/1.1"], SslProtocols.Tls13);
            var split = Split(whole.AsSpan(5), size);
            Assert.Equal(HelloStatus.Complete, ClientHello.TryRead(split, out var hello));
            ClientHello.TryRead(whole, out var expected);
            Assert.Equal(expected, hello);
            Assert.Equal(HelloStatus.Incomplete, ClientHello.TryRead(split.AsSpan(0, split.Length - 1), out _));
        }).MustHold();

    [Fact]
    public void Damaged_hello_never_throws_and_random_bytes_are_no_hello() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            var random = new Random(seed);
            var bytes = RealHello(Name, ["h2"], SslProtocols.Tls13);
            for (var i = random.Next(1, 6); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            ClientHello.TryRead(bytes, out _);
            var noise = new byte[random.Next(40_000)];
            random.NextBytes(noise);
            Assert.NotEqual(HelloStatus.Complete, ClientHello.TryRead(noise, out _));
        }).MustHold(500);

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    [InlineData("\u0016\u0001abc")]
    public void Plain_text_is_known_at_once(string text) =>
        Assert.Equal(HelloStatus.NotTls, ClientHello.TryRead(System.Text.Encoding.Latin1.GetBytes(text), out _));

    [Fact]
    public void Hello_that_never_ends_is_refused_at_the_limit()
    {
        var endless = Split(new byte[60_000].Select((_, i) => i == 0 ? (byte)1 : i < 4 ? (byte)0xFF : (byte)0).ToArray(), 16_000);
        Assert.Equal(HelloStatus.Malformed, ClientHello.TryRead(endless, out _));
    }

    private static byte[] Split(ReadOnlySpan<byte> message, int size)
    {
        var records = new List<byte>();
        Span<byte> header = stackalloc byte[5];
        for (; message.Length > 0; message = message[Math.Min(size, message.Length)..])
        {
            var part = message[..Math.Min(size, message.Length)];
            header[0] = 22;
            header[1] = 3;
            header[2] = 1;
            BinaryPrimitives.WriteUInt16BigEndian(header[3..], (ushort)part.Length);
            records.AddRange(header);
            records.AddRange(part);
        }
        return [.. records];
    }

    /// <summary>The first bytes that SslStream sends.</summary>
    private static byte[] RealHello(string name, string[] protocols, SslProtocols version, params TlsCipherSuite[] suites)
    {
        using var wire = new FirstFlight();
        using var tls = new SslStream(wire, leaveInnerStreamOpen: true);
        var options = new SslClientAuthenticationOptions { TargetHost = name, EnabledSslProtocols = version };
        if (suites.Length > 0) options.CipherSuitesPolicy = new(suites);
        if (protocols.Length > 0) options.ApplicationProtocols = [.. protocols.Select(Alpn.ToProtocol)];
        Assert.ThrowsAny<Exception>(() => tls.AuthenticateAsClient(options));
        return wire.Written.ToArray();
    }

    /// <summary>Accepts writes and has nothing to read.</summary>
    private sealed class FirstFlight : MemoryStream
    {
        public List<byte> Written { get; } = [];

        public override int Read(Span<byte> buffer) => 0;

        public override int Read(byte[] buffer, int offset, int count) => 0;

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            // Only the hello: alerts after the failure are not part of it.
            if (Written.Count == 0) Written.AddRange(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
    }
}
