using System.Runtime.CompilerServices;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Mesh.Model;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Discovery;

public sealed class EndpointAddressTests
{
    [Theory]
    [InlineData("", "none")]
    [InlineData("10.0.0.1", "ip 10.0.0.1")]
    [InlineData("::", "ip ::")]
    [InlineData("2001:DB8::1", "ip 2001:db8::1")]
    [InlineData("::ffff:10.0.0.1", "ip 10.0.0.1")]
    [InlineData("unix:///run/web.sock", "unix /run/web.sock")]
    [InlineData("unix://@web", "unix @web")]
    [InlineData("db.example.com", "name db.example.com")]
    [InlineData("10.0.0.1.example.com", "name 10.0.0.1.example.com")]
    public void A_text_is_one_of_four(string text, string expected)
    {
        var address = EndpointAddress.Parse(text);
        string[] cases =
        [
            address.IsNone ? "none" : "", address.Ip is { } ip ? $"ip {ip}" : "", address.UnixPath is { } path ? $"unix {path}" : "",
            address.HostName is { } name ? $"name {name}" : "",
        ];
        Assert.Equal([expected], cases.Where(one => one.Length > 0));
        Assert.Equal(address, EndpointAddress.Parse(address.ToString()));
        Assert.Equal(address, JsonSerializer.Deserialize<EndpointAddress>(JsonSerializer.Serialize(address)));
    }

    [Fact]
    public void IP_addresses_come_first_and_in_the_order_of_numbers()
    {
        string[] ordered = ["10.0.0.9", "10.0.0.10", "192.0.2.1", "::1", "2001:db8::2", "2001:db8::10", "", "a.example.com", "unix:///run/a", "z.example.com"];
        Prop.ForAll(Arb.From(Gen.Shuffle(ordered)), texts =>
            Assert.Equal(ordered, texts.Select(EndpointAddress.Parse).Order().Select(address => address.ToString()))).MustHold();
    }

    [Fact]
    public void It_takes_no_more_than_an_address_and_a_reference() => Assert.Equal(24, Unsafe.SizeOf<EndpointAddress>());
}
