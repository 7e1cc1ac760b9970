using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Cel;
using Isthmus.Testing;
using Isthmus.Wire.Cel;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.CustomResources;

public sealed class CelLibraryTests
{
    [Theory]
    [InlineData(
        "isIP('10.0.0.1') && isIP('2001:db8::1') && !isIP('a.example') && !isIP('10.0.0.01') && !isIP('10.1') && !isIP('fe80::1%eth0') && "
            + "!isIP('::ffff:1.2.3.4')")]
    [InlineData("['a.example', '*.b.example'].all(h, !isIP(h))")]
    [InlineData(
        "ip('127.0.0.1').isLoopback() && ip('::').isUnspecified() && ip('8.8.8.8').isGlobalUnicast() && ip('fe80::1').isLinkLocalUnicast() && "
            + "ip('224.0.0.1').isLinkLocalMulticast()")]
    [InlineData("ip('::1').family() == 6 && ip('10.0.0.1').family() == 4 && ip('10.0.0.1') == ip('10.0.0.1') && string(ip('2001:DB8::1')) == '2001:db8::1'")]
    [InlineData("ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8:0::1')")]
    [InlineData("isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0/08')")]
    [InlineData(
        "cidr('10.0.0.0/8').containsIP('10.9.9.9') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1')) && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')")]
    [InlineData("cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3') && cidr('::/0').prefixLength() == 0")]
    public void Addresses(string rule) => Assert.True(Truth(rule));

    [Theory]
    [InlineData("'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && 'ä😀b'.substring(1, 2) == '😀'")]
    [InlineData(
        "'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.indexOf('ello', 2) == 7 && 'hello'.indexOf('x') == -1 && 'hello mellow'.lastIndexOf('ello') == "
            + "7")]
    [InlineData("'hello mellow'.lastIndexOf('ello', 6) == 1 && 'abc'.charAt(1) == 'b' && 'abc'.charAt(3) == '' && 'abc'.reverse() == 'cba'")]
    [InlineData("'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b'] && ['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab'")]
    [InlineData("'hello'.replace('l', 'L') == 'heLLo' && 'hello'.replace('l', 'L', 1) == 'heLlo' && 'ab'.replace('', '_') == '_a_b_'")]
    [InlineData("'ÄA'.lowerAscii() == 'Äa' && 'abc 123'.find('[0-9]+') == '123' && '1a2'.findAll('[0-9]') == ['1', '2'] && '1a2'.findAll('[0-9]', 1) == ['1']")]
    [InlineData("'%s is %d, %.2f, %x, %b, 100%%'.format(['a', 5, 1.5, 255, true]) == 'a is 5, 1.50, ff, 1, 100%' && '%s'.format([[1, 2]]) == '[1, 2]'")]
    public void Texts(string rule) => Assert.True(Truth(rule));

    [Theory]
    [InlineData("[1, 2, 3].sum() == 6 && [3, 1].min() == 1 && ['a', 'b'].indexOf('b') == 1 && [1, 2, 1].lastIndexOf(1) == 2 && [].sum() == 0")]
    [InlineData(
        "[1, 2, 3].slice(1, 3) == [2, 3] && [1, 2].reverse() == [2, 1] && [1, 1, 2].distinct() == [1, 2] && [2, 1].sort() == [1, 2] && [[1], [2]].flatten() == "
            + "[1, 2] && lists.range(2) == [0, 1]")]
    [InlineData("sets.contains([1, 2, 3], [1, 3]) && sets.equivalent([1, 1, 2], [2, 1]) && sets.intersects([1], [1, 2]) && !sets.intersects([1], [2])")]
    [InlineData("math.greatest(1, 3, 2) == 3 && math.least([4, 2]) == 2")]
    [InlineData(
        "[5, 6].transformList(i, v, i + v) == [5, 7] && [5, 6].transformList(i, v, i > 0, v) == [6] && [5, 6].all(i, v, v == i + 5) && [5, 6].exists(i, v, i "
            + "== 1 && v == 6)")]
    [InlineData("{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && {'a': 1, 'b': 2}.existsOne(k, v, v > 1) && [1, 2, 3].map(x, x > 1, x * 2) == [4, 6]")]
    [InlineData(
        "{'a': 1}.?a.orValue(0) == 1 && {'a': 1}.?b.orValue(7) == 7 && !{'a': 1}[?'b'].hasValue() && {'a': {'b': 2}}.?a.b.value() == 2 && "
            + "[1][?3].or(optional.of(4)).value() == 4")]
    [InlineData("[1, 2].exists(x, x == 2 || 1 / 0 == 1) && [0, 1].exists(x, 1 / x == 1)")]
    public void Lists_maps_and_optional_values(string rule) => Assert.True(Truth(rule));

    [Theory]
    [InlineData(
        "timestamp('2026-01-02T03:04:05Z') - timestamp('2026-01-01T03:04:05Z') == duration('24h') && timestamp('2026-01-01T00:00:00+01:00') < "
            + "timestamp('2026-01-01T00:00:00Z')")]
    [InlineData(
        "timestamp('2026-01-02T03:04:05Z').getFullYear() == 2026 && timestamp('2026-01-02T03:04:05Z').getMonth() == 0 && "
            + "timestamp('2026-01-02T03:04:05Z').getDate() == 2 && duration('90m').getHours() == 1")]
    [InlineData(
        "timestamp('2026-01-01T00:00:00Z') + duration('1s') == timestamp('2026-01-01T00:00:01Z') && string(duration('1m30s')) == '90s' && "
            + "string(timestamp('2026-01-01T00:00:00Z')) == '2026-01-01T00:00:00Z'")]
    [InlineData("'2026-01-02T00:00:00Z' > timestamp('2026-01-01T00:00:00Z') && '2026-01-02T00:00:00Z' == timestamp('2026-01-02T00:00:00Z')")]
    [InlineData(
        "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('500m').add(quantity('0.5')).asInteger() == 1 && quantity('1.5').sub(1) == quantity('500m') "
            + "&& isQuantity('2e3') && !isQuantity('2x')")]
    [InlineData(
        "quantity('1k').compareTo(quantity('1000')) == 0 && quantity('-1').sign() == -1 && !quantity('100m').isInteger() && "
            + "quantity('50k').asApproximateFloat() == 50000.0")]
    [InlineData(
        "url('https://u@a.example:8443/p%20q/r?x=1&x=2&y#f').getHost() == 'a.example:8443' && url('https://a.example:8443/p%20q').getPort() == '8443' && "
            + "url('https://[::1]:80/').getHostname() == '::1'")]
    [InlineData("url('https://a.example/p%20q?x=1&x=2').getEscapedPath() == '/p%20q' && url('https://a.example/?x=1&x=2').getQuery() == {'x': ['1', '2']}")]
    [InlineData(
        "!format.dns1123Label().validate('abc').hasValue() && format.dns1123Label().validate('A_b').hasValue() && "
            + "format.named('uuid').value().validate('x').hasValue() && !format.named('nosuch').hasValue()")]
    [InlineData("!format.qualifiedName().validate('a.example/B_c').hasValue() && !format.dns1123LabelPrefix().validate('a-').hasValue()")]
    public void Times_amounts_URLs_and_formats(string rule) => Assert.True(Truth(rule));

    [Theory]
    [InlineData("lists.range(1000000) == []")]
    [InlineData("lists.range(3000).map(x, lists.range(3000)) == []")]
    [InlineData(
        "lists.range(1000).map(x, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').join('bbbbbbbbbbbbbbbbb').replace('', lists.range(9000).map(x, "
            + "'c').join()) == ''")]
    [InlineData("sets.equivalent(lists.range(9000), lists.range(9000))")]
    [InlineData("lists.range(2000).all(a, lists.range(2000).all(b, a + b >= 0))")]
    public void Values_that_grow_too_large_are_stopped(string rule) =>
        Assert.Contains("too much work", Assert.Throws<CelFailureException>(() => Truth(rule)).Message, StringComparison.Ordinal);

    [Fact]
    public void No_arguments_break_a_function() => Prop.ForAll(Values().ArrayOf(4).ToArbitrary(), values =>
    {
        foreach (var (name, count) in CelFunctions.All)
        {
            try
            {
                _ = CelFunctions.Find(name, count)?.Invoke(values[..Math.Max(count, count < 0 ? 2 : 0)]);
            }
            catch (CelFailureException)
            {
            }
        }
    }).MustHold();

    private static Gen<object?> Values() => Gen.Elements<object?>(
        null, true, 0L, -1L, 3L, long.MaxValue, long.MinValue, 2.5, double.NaN, double.MaxValue, "", "a", "ä😀", "%", "%5.9d", "10.0.0.1", "10.0.0.0/8", "1Gi",
        "-5m", "2026-01-01T00:00:00Z",
        "1h", "http://a:b", "//", "(", "\0", "/a?b=%zz&=&b", new List<object?>(), new List<object?> { "a", 1L, null }, new List<object?> { 1L, 2.5 },
        new JsonObject(), new JsonObject { ["a"] = 1 },
        new CelDuration(long.MaxValue), DateTimeOffset.MaxValue, CelOptionalValue.None, System.Net.IPAddress.IPv6Loopback,
        new CelCidr(System.Net.IPAddress.Loopback, 8), CelUrl.Parse("http://[::1"),
        new CelQuantity(5), CelUrl.Parse("x://y"));

    private static bool Truth(string rule) => CelParser.Parse(rule, CelFunctions.Knows).Truth(CelScope.Of());
}
