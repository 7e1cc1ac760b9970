using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.Machine.Network;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Network;

public sealed class NetlinkMessageTests
{
    [Fact]
    public void A_request_for_a_bridge_is_what_the_kernel_expects()
    {
        var bytes = new NetlinkMessage(NetlinkMessage.NewLink, NetlinkMessage.Acknowledge | NetlinkMessage.Create | NetlinkMessage.Exclusive)
            .Link(0).Text(3, "br0").Nest(18, settings => settings.Text(1, "bridge")).Finish(7).ToArray();
        // nlmsghdr, ifinfomsg, IFLA_IFNAME "br0\0", IFLA_LINKINFO { IFLA_INFO_KIND "bridge\0" padded }
        Assert.Equal(
            "38000000" + "1000" + "0506" + "07000000" + "00000000"
            + "00000000000000000000000000000000"
            + "0800" + "0300" + "62723000"
            + "1000" + "1280" + "0B00" + "0100" + "62726964676500" + "00",
            Convert.ToHexString(bytes));
    }

    [Fact]
    public void Attributes_that_are_written_are_read_back_whatever_their_length()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<byte[][]>(), values =>
        {
            var message = new NetlinkMessage(NetlinkMessage.NewLink, 0).Link(5);
            var kept = values.Where(value => value is not null && value.Length < 1000).ToList();
            for (var i = 0; i < kept.Count; i++) message.Bytes((ushort)(i % 1000), kept[i]);
            ReadOnlySpan<byte> datagram = message.Finish(3);
            Assert.True(NetlinkReply.TryRead(ref datagram, out var reply));
            Assert.Equal(3u, reply.Sequence);
            Assert.True(datagram.IsEmpty);
            var attributes = reply.Body[16..];
            for (var i = 0; i < kept.Count; i++)
            {
                Assert.True(NetlinkReply.TryReadAttribute(ref attributes, out var type, out var value));
                Assert.Equal(i % 1000, type);
                Assert.Equal(kept[i], value.ToArray());
            }
            Assert.True(attributes.IsEmpty);
        }).MustHold();
    }

    [Fact]
    public void Any_bytes_are_read_without_leaving_the_buffer_or_looping()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes =>
        {
            ReadOnlySpan<byte> datagram = bytes;
            while (NetlinkReply.TryRead(ref datagram, out var reply))
            {
                reply.ReadError();
                var attributes = reply.Body;
                while (NetlinkReply.TryReadAttribute(ref attributes, out _, out _)) { }
            }
        }).MustHold();
    }

    [Theory]
    [InlineData("172.18.0.2", 1, "172.18.0.3")]
    [InlineData("10.96.0.0", 10, "10.96.0.10")]
    [InlineData("10.255.255.255", 1, "11.0.0.0")]
    public void Addresses_are_counted_across_octets(string from, int offset, string expected) =>
        Assert.Equal(IPAddress.Parse(expected), Addresses.Add(IPAddress.Parse(from), offset));
}
