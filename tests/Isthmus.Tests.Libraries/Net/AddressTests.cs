using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Net;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Net;

public sealed class AddressTests
{
    /// <summary>Of both families, and with many zeros, which the text shortens.</summary>
    private static readonly Gen<IPAddress> Any = Gen.OneOf(
        Gen.Elements<byte>(0, 1, 127, 255).ArrayOf(4).Select(bytes => new IPAddress(bytes)),
        Gen.Choose(0, 255).Select(number => (byte)number).ArrayOf(4).Select(bytes => new IPAddress(bytes)),
        Gen.Elements<byte>(0, 0, 0, 1, 255).ArrayOf(16).Select(bytes => new IPAddress(bytes)),
        Gen.Elements(0, 0, 1, 0xdb8, 0xffff).ArrayOf(8).Select(parts => new IPAddress([.. parts.SelectMany(part => (byte[])[(byte)(part >> 8), (byte)part])])));

    [Fact]
    public void Text_and_platform_address_lead_back_to_the_same_value() => Prop.ForAll(Arb.From(Any), ip =>
    {
        var address = Address.Of(ip);
        Assert.Equal(address, Address.Parse(address.ToString()));
        Assert.Equal(address, Address.Parse(ip.ToString()));
        Assert.Equal(address.ToString(), Address.Parse(ip.ToString().ToUpperInvariant()).ToString());
        Assert.Equal(ip.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip, address.ToIPAddress());
        Assert.Equal(address, JsonSerializer.Deserialize<Address>(JsonSerializer.Serialize(address)));
    }).MustHold();

    [Fact]
    public void Equality_hash_and_order_follow_family_and_number() => Prop.ForAll(Arb.From(Any), Arb.From(Any), (left, right) =>
    {
        var (one, other) = (Address.Of(left), Address.Of(right));
        var (first, second) = (one.ToIPAddress().GetAddressBytes(), other.ToIPAddress().GetAddressBytes());
        var order = first.Length != second.Length ? first.Length.CompareTo(second.Length) : first.AsSpan().SequenceCompareTo(second);
        Assert.Equal(Math.Sign(order), Math.Sign(one.CompareTo(other)));
        Assert.Equal(order == 0, one == other);
        if (one == other) Assert.Equal(one.GetHashCode(), other.GetHashCode());
    }).MustHold();

    [Fact]
    public void What_is_added_is_the_distance() => Prop.ForAll(Arb.From(Any), Arb.From(Gen.Choose(0, int.MaxValue)), (ip, distance) =>
    {
        var address = Address.Of(ip);
        if (address.IsV4 && (uint)IPAddress.NetworkToHostOrder(BitConverter.ToInt32(address.ToIPAddress().GetAddressBytes())) > uint.MaxValue - distance)
        {
            Assert.Throws<OverflowException>(() => address.Plus((ulong)distance));
            return;
        }
        Assert.Equal((ulong)distance, address.Plus((ulong)distance).Minus(address));
        Assert.Equal(address.Family, address.Plus((ulong)distance).Family);
        Assert.True(distance == 0 || address.Minus(address.Plus((ulong)distance)) is null);
    }).MustHold();

    [Theory]
    [InlineData("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1")]
    [InlineData("2001:0db8::0001", "2001:db8::1")]
    [InlineData("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1")]
    [InlineData("2001:0:0:1:0:0:0:1", "2001:0:0:1::1")]
    [InlineData("0:0:0:0:0:0:0:0", "::")]
    [InlineData("1:0:0:0:0:0:0:0", "1::")]
    [InlineData("::ffff:10.0.0.1", "10.0.0.1")]
    [InlineData("::FFFF:a00:1", "10.0.0.1")]
    [InlineData("::1.2.3.4", "::102:304")]
    [InlineData("240.240.0.1", "240.240.0.1")]
    public void The_text_is_canonical(string text, string canonical) => Assert.Equal(canonical, Address.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("10.1")]
    [InlineData("10.0.0.256")]
    [InlineData("010.0.0.1")]
    [InlineData("0x0a.0.0.1")]
    [InlineData("10.0.0.1 ")]
    [InlineData("10.0.0.+1")]
    [InlineData("10.0.0.1.")]
    [InlineData("10.0.0.1:80")]
    [InlineData("10.0.0.0/8")]
    [InlineData("fe80::1%eth0")]
    [InlineData("fe80::1%1")]
    [InlineData("[::1]")]
    [InlineData("[::1]:80")]
    [InlineData("::1/128")]
    [InlineData("::ffff:010.0.0.1")]
    [InlineData("::10.1")]
    [InlineData("1::2::3")]
    [InlineData("1:2:3:4:5:6:7:8:9")]
    [InlineData("12345::")]
    [InlineData("web.default.svc")]
    [InlineData("unix:///run/a.sock")]
    public void What_is_none_is_refused(string text)
    {
        Assert.False(Address.TryParse(text, out _));
        Assert.Throws<FormatException>(() => Address.Parse(text));
    }

    [Fact]
    public void The_family_is_known()
    {
        Assert.Equal((AddressFamily.InterNetwork, 32), (Address.Parse("10.0.0.1").Family, Address.Parse("10.0.0.1").Bits));
        Assert.Equal((AddressFamily.InterNetworkV6, 128), (Address.Parse("2001:2::1").Family, Address.Parse("2001:2::1").Bits));
        Assert.True(Address.Parse("0.0.0.0").IsUnspecified && Address.Parse("::").IsUnspecified && !Address.Parse("::1").IsUnspecified);
        Assert.Equal(16, Unsafe.SizeOf<Address>());
    }
}
