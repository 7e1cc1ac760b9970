using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Collections;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Dns;

public sealed class DnsMessageTests
{
    [Fact]
    public void What_was_written_reads_the_same() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            var message = Random(new Random(seed));
            Assert.Equal(message, DnsMessage.TryRead(message.ToBytes()));
        }).MustHold(500);

    [Fact]
    public void Any_bytes_are_read_or_refused_and_what_was_read_can_be_written() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            var random = new Random(seed);
            var bytes = Random(random).ToBytes();
            for (var i = random.Next(1, 8); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            if (DnsMessage.TryRead(bytes) is { } read) Assert.NotEmpty(read.ToBytes());
            var noise = new byte[random.Next(600)];
            random.NextBytes(noise);
            DnsMessage.TryRead(noise);
        }).MustHold(1000);

    [Fact]
    public void Name_is_written_once_and_pointed_to_afterwards()
    {
        var query = DnsMessage.Query(7, new("shop.sample.svc.cluster.local", DnsType.A));
        var answer = query.Answer(DnsCode.NoError) with
        {
            Answers =
            [
                new("SHOP.sample.svc.cluster.local", 30, new NameContent(DnsType.CNAME, "x.sample.svc.cluster.local")),
                new("x.sample.svc.cluster.local", 30, new AddressContent(IPAddress.Parse("10.0.0.1"))),
            ],
        };
        var bytes = answer.ToBytes();
        // Header, question, CNAME with a pointer and one more label, A with a pointer.
        Assert.Equal(12 + 31 + 4 + (2 + 10 + 4) + (2 + 10 + 4), bytes.Length);
        Assert.Equal("x.sample.svc.cluster.local", ((NameContent)DnsMessage.TryRead(bytes)!.Answers[0].Content).Target);
    }

    [Fact]
    public void Name_that_contains_itself_is_not_compressed_into_a_loop()
    {
        var message = DnsMessage.Query(1, new("a.a.a", DnsType.A));
        var dirty = new byte[512];
        Array.Fill(dirty, (byte)0);
        var length = message.Write(dirty);
        Assert.Equal("a.a.a", DnsMessage.TryRead(dirty.AsSpan(0, length))!.Questions[0].Name);
    }

    [Theory]
    [InlineData(new byte[] { 0xC0, 12 })]
    [InlineData(new byte[] { 1, (byte)'a', 0xC0, 12 })]
    [InlineData(new byte[] { 0xC0, 14, 0xC0, 12 })]
    [InlineData(new byte[] { 0xC0, 200 })]
    [InlineData(new byte[] { 0x80, 1 })]
    [InlineData(new byte[] { 63, 1 })]
    public void Names_that_point_forwards_or_at_themselves_are_refused(byte[] name)
    {
        byte[] message = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. name, 0, 1, 0, 1];
        Assert.Null(DnsMessage.TryRead(message));
    }

    [Fact]
    public void Answer_that_is_too_long_is_cut_between_records_and_says_so()
    {
        var query = DnsMessage.Query(7, new("big.example", DnsType.A), new(1232));
        var answer = query.Answer(DnsCode.NoError) with
        {
            Answers = [.. Enumerable.Range(0, 100).Select(i => new DnsRecord("big.example", 30, new AddressContent(new(new byte[] { 10, 0, 0, (byte)i }))))],
        };

        var bytes = answer.ToBytes(DnsMessage.PlainUdpSize);
        var read = DnsMessage.TryRead(bytes)!;

        Assert.True(bytes.Length <= DnsMessage.PlainUdpSize);
        Assert.True(read.Header.IsTruncated);
        Assert.Equal(answer.Answers.Take(read.Answers.Count), read.Answers);
        Assert.InRange(read.Answers.Count, 20, 99);
        Assert.NotNull(read.Edns);
    }

    [Fact]
    public void Odd_bytes_in_names_survive()
    {
        byte[] name = [4, (byte)'a', (byte)'.', 0, 0xFF, 1, (byte)'\\', 0];
        var offset = 0;
        Span<char> text = stackalloc char[DnsName.MaxText];
        var length = DnsName.Read(name, ref offset, text);
        Assert.Equal(@"a\046\000\255.\092", text[..length].ToString());
        Span<byte> again = stackalloc byte[DnsName.MaxWire];
        Assert.Equal(name, again[..DnsName.Write(text[..length], again)]);
        Assert.Equal(name.Length, offset);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    public void Root_is_the_empty_name(string text)
    {
        Span<byte> wire = stackalloc byte[4];
        Assert.Equal(1, DnsName.Write(text, wire));
    }

    [Fact]
    public void Names_beyond_the_limits_are_not_written()
    {
        Span<byte> wire = stackalloc byte[600];
        Assert.True(DnsName.Write(string.Join('.', Enumerable.Repeat(new string('x', 63), 3)) + "." + new string('y', 61), wire) == 255);
        Assert.Equal(-1, DnsName.Write(string.Join('.', Enumerable.Repeat(new string('x', 63), 3)) + "." + new string('y', 62), wire));
        Assert.Equal(-1, DnsName.Write(new string('x', 64), wire));
        Assert.Equal(-1, DnsName.Write("a..b", wire));
        Assert.Equal(-1, DnsName.Write("a b", wire));
    }

    private static DnsMessage Random(Random random)
    {
        var header = new DnsHeader((ushort)random.Next(65536), (ushort)(random.Next(65536) & ~0x0200));
        return new(header, [.. Many(random, 2, () => new DnsQuestion(Name(random), (DnsType)random.Next(1, 300)))],
            [.. Many(random, 6, () => Record(random))], [.. Many(random, 3, () => Record(random))], [.. Many(random, 3, () => Record(random))],
            random.Next(2) == 0 ? null : new Edns((ushort)random.Next(512, 4096), random.Next(2) == 0));
    }

    private static IEnumerable<T> Many<T>(Random random, int max, Func<T> make) => Enumerable.Range(0, random.Next(max + 1)).Select(_ => make());

    private static string Name(Random random) =>
        string.Join('.', Many(random, 5, () => new[] { "a", "shop", "sample", "svc", "cluster", "local", "_tcp", "x-1" }[random.Next(8)]));

    private static DnsRecord Record(Random random) => new(Name(random), (uint)random.Next(), random.Next(9) switch
    {
        0 => new AddressContent(new(new byte[] { 10, 1, (byte)random.Next(256), 3 })),
        1 => new AddressContent(IPAddress.Parse($"fd00::{random.Next(1, 999)}")),
        2 => new NameContent(DnsType.CNAME, Name(random)),
        3 => new NameContent(DnsType.PTR, Name(random)),
        4 => new ServiceContent(1, 2, (ushort)random.Next(65536), Name(random)),
        5 => new MailContent(10, Name(random)),
        6 => new TextContent([.. Many(random, 3, () => new string('t', random.Next(256)))]),
        7 => new AuthorityContent(Name(random), Name(random), 1, 2, 3, 4, 5),
        _ => new RawContent((DnsType)random.Next(300, 999), [.. Many(random, 20, () => (byte)random.Next(256))]),
    });
}
