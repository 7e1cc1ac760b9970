using System.Buffers.Binary;
using FsCheck.Fluent;
using Isthmus.Proxy.Messages;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class MessageCounterTests
{
    [Fact]
    public void Messages_count_however_the_body_is_cut() =>
        Prop.ForAll(Gen.ArrayOf(Gen.Choose(0, 700)).ToArbitrary(), Gen.NonEmptyListOf(Gen.Choose(1, 40)).ToArbitrary(), (lengths, cuts) =>
        {
            ReadOnlySpan<byte> body = [.. lengths.SelectMany(Message)];
            var counter = new MessageCounter();
            for (var i = 0; !body.IsEmpty; i++)
            {
                var size = Math.Min(cuts[i % cuts.Count], body.Length);
                counter.Read(body[..size]);
                body = body[size..];
            }
            return counter.Count == lengths.Length;
        }).MustHold();

    [Fact]
    public void A_message_counts_once_its_prefix_has_arrived()
    {
        var counter = new MessageCounter();
        var message = Message(10).ToArray();
        counter.Read(message.AsSpan(0, 4));
        Assert.Equal(0, counter.Count);
        counter.Read(message.AsSpan(4, 1));
        Assert.Equal(1, counter.Count);
        counter.Read(message.AsSpan(5));
        Assert.Equal(1, counter.Count);
    }

    private static IEnumerable<byte> Message(int length)
    {
        var bytes = new byte[5 + length];
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(1), (uint)length);
        return bytes;
    }
}
