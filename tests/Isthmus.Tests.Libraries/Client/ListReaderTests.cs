using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

public sealed class ListReaderTests
{
    private static readonly Gen<string> Awkward = Gen.ArrayOf(Gen.Elements("{", "}", "[", "]", "\"", "\\", "\\\\", ",", ":", " ", "a", "é", "\n",
        new string('x', 40)))
        .Select(string.Concat);

    private static readonly JsonSerializerOptions[] Forms = [new(), new() { WriteIndented = true },
        new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void The_end_of_an_object_is_where_a_tokenizer_finds_it() => Prop.ForAll(Objects().ToArbitrary(), Gen.Elements(Forms).ToArbitrary(), (tree, form) =>
    {
        var json = Encoding.UTF8.GetBytes(tree.ToJsonString(form));
        Assert.Equal(json.Length, JsonExtent.Of([.. json, .. "},{\"\\"u8]));
        for (var length = json.Length - 1; length > 0; length -= 1 + length / 20) Assert.Equal(-1, JsonExtent.Of(json.AsSpan(0, length)));
    }).MustHold(500);

    [Fact]
    public void Items_are_those_of_the_list_no_matter_how_it_arrives() => Prop.ForAll(
        Gen.ArrayOf(Objects()).ToArbitrary(), Gen.Elements(Forms).ToArbitrary(), Gen.Choose(1, 200).ToArbitrary(), (items, form, piece) =>
    {
        var list = new JsonObject
        {
            ["kind"] = "NamespaceList", ["metadata"] = new JsonObject { ["resourceVersion"] = "7", ["continue"] = "more" },
            ["items"] = new JsonArray([.. items.Select(item => item.DeepClone())]), ["apiVersion"] = "v1",
        };
        var seen = new List<JsonObject>();
        var end = Read(list.ToJsonString(form), piece, seen);
        Assert.Equal(new("7", "more"), end);
        Assert.Equal(items.Select(item => item.ToJsonString()), seen.Select(Bare));
    }).MustHold(200);

    [Theory]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{},]}""", "has ']' where")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[,{}]}""", "has ',' where")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{}{}]}""", "has '{' where")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{}}""", "has '}' where")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[1]}""", "has '1' where")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{"a":[}""", "ends among its items")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{}, """, "ends among its items")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{"a":]}]}""", "'a'|$.a|']'")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{}]""", "")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{}]]""", "")]
    [InlineData("""{"items":[{}]}""", "is not a list of namespaces")]
    public void A_broken_list_is_refused(string list, string says)
    {
        var error = Assert.ThrowsAny<Exception>(() => Read(list, 5, []));
        Assert.True(error is JsonException or HttpRequestException, error.ToString());
        Assert.True(says.Split('|').Any(part => error.Message.Contains(part, StringComparison.Ordinal)), error.Message);
    }

    private static ListEnd Read(string list, int piece, List<JsonObject> seen) =>
        new ListReader<JsonObject>(Kinds.Namespace, seen.Add).ReadAsync(new Pieces(Encoding.UTF8.GetBytes(list), piece), Stop).GetAwaiter().GetResult();

    private static string Bare(JsonObject item)
    {
        var copy = (JsonObject)item.DeepClone();
        copy.Remove("apiVersion");
        copy.Remove("kind");
        return copy.ToJsonString();
    }

    private static Gen<JsonObject> Objects() => Gen.ArrayOf(Gen.Zip(Awkward, Node(3))).Select(fields =>
        new JsonObject(fields.Take(5).DistinctBy(field => field.Item1).Select(field => KeyValuePair.Create(field.Item1, field.Item2?.DeepClone()))));

    private static Gen<JsonNode?> Node(int depth)
    {
        var text = Awkward.Select(value => (JsonNode?)JsonValue.Create(value));
        if (depth == 0) return text;
        return Gen.OneOf(
            text,
            Gen.ArrayOf(Node(depth - 1)).Select(items => (JsonNode?)new JsonArray([.. items.Take(4).Select(item => item?.DeepClone())])),
            Gen.Zip(Awkward, Node(depth - 1)).Select(field => (JsonNode?)new JsonObject { [field.Item1] = field.Item2?.DeepClone() }));
    }

    /// <summary>Gives a few bytes at a time.</summary>
    private sealed class Pieces(byte[] bytes, int most) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, most)], cancellationToken);
    }
}
