using System.Net;
using Isthmus.Core.Net;
using Xunit;

namespace Isthmus.Tests.Libraries.Net;

public sealed class AddressOrRangeTests
{
    [Theory]
    [InlineData("10.0.0.5", "10.0.0.5", false, 32)]
    [InlineData("10.0.0.5/32", "10.0.0.5/32", true, 32)]
    [InlineData("10.1.2.3/8", "10.1.2.3/8", true, 8)]
    [InlineData("0.0.0.0/0", "0.0.0.0/0", true, 0)]
    [InlineData("2001:DB8::1", "2001:db8::1", false, 128)]
    [InlineData("2001:db8::/32", "2001:db8::/32", true, 32)]
    [InlineData("::ffff:10.0.0.0/104", "10.0.0.0/8", true, 8)]
    public void Texts_are_read_as_they_are_meant(string text, string written, bool isRange, int bits)
    {
        var read = AddressOrRange.Parse(text);
        Assert.Equal((written, isRange, bits), (read.ToString(), read.IsRange, read.FixedBits));
    }

    [Theory]
    [InlineData("")]
    [InlineData("shop")]
    [InlineData("10.0.0.0/33")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("10.0.0.0/")]
    [InlineData("10.0.0/8")]
    [InlineData("2001:db8::/129")]
    [InlineData("::ffff:10.0.0.0/95")]
    public void Other_texts_are_refused(string text) => Assert.False(AddressOrRange.TryParse(text, out _));

    [Fact]
    public void Only_a_range_of_one_stands_for_its_address()
    {
        Assert.Equal(Address.Parse("10.0.0.5"), AddressOrRange.Parse("10.0.0.5/32").Single);
        Assert.Equal(Address.Parse("::1"), AddressOrRange.Parse("::1").Single);
        Assert.Null(AddressOrRange.Parse("10.0.0.4/31").Single);
    }

    /// <summary>A range has the addresses that it has by .NET, of both families.</summary>
    [Fact]
    public void A_range_contains_what_shares_its_bits()
    {
        var random = new Random(11);
        for (var round = 0; round < 4000; round++)
        {
            var bytes = new byte[round % 2 == 0 ? 4 : 16];
            random.NextBytes(bytes);
            if (bytes.Length == 16) bytes[0] = 0x20;
            var length = random.Next(bytes.Length * 8 + 1);
            var address = new IPAddress(bytes);
            var range = AddressOrRange.Parse($"{address}/{length}");
            var other = (byte[])bytes.Clone();
            var bit = random.Next(bytes.Length * 8);
            other[bit / 8] ^= (byte)(0x80 >> (bit % 8));
            Assert.True(range.Contains(Address.Of(address)));
            Assert.Equal(bit >= length, range.Contains(Address.Of(new IPAddress(other))));
        }
        Assert.False(AddressOrRange.Parse("::/0").Contains(Address.Parse("10.0.0.1")));
    }
}
