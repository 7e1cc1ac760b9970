using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Xunit;

namespace Isthmus.Tests.Libraries.Json;

/// <summary>JSON that two readers could understand differently is refused, with one line.</summary>
public sealed class StrictJsonTests
{
    public static TheoryData<string, byte[]> Refused => new()
    {
        { "empty", [] },
        { "a member twice", "{\"a\": 1, \"a\": 2}"u8.ToArray() },
        { "a member twice, once with an escape", "{\"keys\": 1, \"k\\u0065ys\": 2}"u8.ToArray() },
        { "a member twice, deep inside", "[{\"a\": [{\"b\": 1, \"b\": 1}]}]"u8.ToArray() },
        { "bytes that are not UTF-8 in a value", [.. "{\"a\": \""u8, 0xff, .. "\"}"u8] },
        { "bytes that are not UTF-8 in a name", [.. "{\""u8, 0xc3, .. "\": 1}"u8] },
        { "a surrogate, as three bytes", [.. "[\""u8, 0xed, 0xa0, 0x80, .. "\"]"u8] },
        { "half a pair in a value", "{\"a\": \"\\ud83d\"}"u8.ToArray() },
        { "half a pair in a name", "{\"\\ude00\": 1}"u8.ToArray() },
        { "a pair the wrong way round", "[\"\\ude00\\ud83d\"]"u8.ToArray() },
        { "a comment", "{} // more"u8.ToArray() },
        { "a trailing comma", "[1,]"u8.ToArray() },
        { "two values", "{} {}"u8.ToArray() },
        { "a control character in a text", "[\"a\nb\"]"u8.ToArray() },
        { "an escape sequence of a terminal", "\u001b[2J"u8.ToArray() },
        { "a byte order mark", [0xef, 0xbb, 0xbf, .. "{}"u8] },
        { "too deep", Encoding.ASCII.GetBytes(new string('[', StrictJson.MaxDepth + 1) + new string(']', StrictJson.MaxDepth + 1)) },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Is_refused_with_one_line(string what, byte[] json)
    {
        var whole = Assert.Throws<JsonException>(() => StrictJson.Parse(json)).Message;
        Assert.True(whole.Length > 0 && !whole.Any(char.IsControl), $"{what}: {whole}");
        Assert.Throws<JsonException>(() => StrictJson.Document(json));
        await Assert.ThrowsAsync<JsonException>(() => StrictJson.ReadAsync(new MemoryStream(json), 1 << 20, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Half_a_pair_in_a_string_is_refused() => Assert.Throws<JsonException>(() => StrictJson.Parse("[\"" + '\ud83d' + "\"]"));

    [Fact]
    public void Everything_else_is_read_as_it_is()
    {
        const string text = """{"a": ["\ud83d\ude00", "😀", "\u0000", -1.5e3, true, null], "A": {"a": {}}, "": ""}""";
        var read = StrictJson.Parse(text)!;
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(text), read));
        Assert.Equal(read["a"]![0]!.ToString(), read["a"]![1]!.ToString());
        Assert.Null(StrictJson.Parse("null"));
        Assert.Equal(3, StrictJson.Document("{\"a\": 3}"u8.ToArray()).RootElement.GetProperty("a").GetInt32());
        Assert.NotNull(StrictJson.Parse(new string('[', StrictJson.MaxDepth) + new string(']', StrictJson.MaxDepth)));
    }

    [Theory]
    [InlineData(9, false)]
    [InlineData(10, true)]
    [InlineData(100_000, true)]
    public async Task A_stream_may_be_as_long_as_its_limit(int most, bool fits)
    {
        using var stream = new MemoryStream("[\"abcdef\"]"u8.ToArray());
        if (fits) Assert.Equal("abcdef", (await StrictJson.ReadAsync(stream, most, TestContext.Current.CancellationToken))![0]!.ToString());
        else Assert.Contains("longer than 9 bytes",
            (await Assert.ThrowsAsync<JsonException>(() => StrictJson.ReadAsync(stream, most, TestContext.Current.CancellationToken))).Message,
            StringComparison.Ordinal);
    }
}
