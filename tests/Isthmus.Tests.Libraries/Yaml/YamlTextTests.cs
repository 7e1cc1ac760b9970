using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Yaml;

public sealed class YamlTextTests
{
    private static readonly string[] Awkward = ["", " ", "yes", "no", "null", "~", "0x1f", "010", "1e3", "- a", "a: b", "#x", "|", ">", "'", "\"", "*a", "&a",
        "!t", "a\nb", "a\n", "\n", "\t", "é", "1_000", "{", "[", "%", "@", "`", "<<", "a #b", "trailing ", "\u0001", "-", "?", "0o7", ".5", "+1", "2020-01-01",
        "…"];

    private static Gen<JsonNode?> Node(int depth)
    {
        var scalar = Gen.OneOf(
            Gen.Elements(Awkward).Select(text => (JsonNode?)JsonValue.Create(text)),
            ArbMap.Default.GeneratorFor<NonNull<string>>().Where(text => IsText(text.Get)).Select(text => (JsonNode?)JsonValue.Create(text.Get)),
            ArbMap.Default.GeneratorFor<long>().Select(number => (JsonNode?)JsonValue.Create(number)),
            ArbMap.Default.GeneratorFor<bool>().Select(flag => (JsonNode?)JsonValue.Create(flag)),
            Gen.Constant((JsonNode?)null));
        if (depth == 0) return scalar;
        var inner = Gen.ArrayOf(Node(depth - 1));
        return Gen.OneOf(
            scalar,
            inner.Select(items => (JsonNode?)new JsonArray([.. items.Take(4).Select(item => item?.DeepClone())])),
            inner.SelectMany(items => Gen.ArrayOf(Gen.Elements(Awkward)).Select(keys =>
                (JsonNode?)new JsonObject(items.Take(4).Zip(keys.Distinct().Where(key => key != "<<"))
                    .Select(pair => KeyValuePair.Create(pair.Second, pair.First?.DeepClone()))))));
    }

    // Half a surrogate pair is no character and has no encoding.
    private static bool IsText(string text) => !text.Any(char.IsSurrogate);

    [Fact]
    public void What_is_printed_reads_back_as_it_was() => Prop.ForAll(Node(3).ToArbitrary(), node =>
    {
        var root = new JsonObject { ["root"] = node?.DeepClone() };
        var text = YamlText.Print(root);
        var back = YamlText.Parse(text, "test");
        Assert.True(JsonNode.DeepEquals(root, back), $"{root.ToJsonString()}\nwas printed as\n{text}\nwhich reads as\n{back?.ToJsonString()}");
    }).MustHold(500);

    /// <summary>Parsers of YAML 1.1 would read a time.</summary>
    [Theory]
    [InlineData("1970-01-01T00:00:00Z", "'1970-01-01T00:00:00Z'")]
    [InlineData("2024-05-01", "'2024-05-01'")]
    [InlineData("2024-may-01", "2024-may-01")]
    [InlineData("1.31", "'1.31'")]
    public void Text_that_looks_like_something_else_is_quoted(string text, string printed) =>
        Assert.Equal($"a: {printed}\n", YamlText.Print(new JsonObject { ["a"] = text }));

    [Fact]
    public void Any_text_is_read_or_refused_in_words() =>
        Prop.ForAll(Gen.ArrayOf(Gen.Elements(Awkward)).Select(parts => string.Join(" ", parts)).ToArbitrary(), text =>
    {
        try { YamlText.ParseAll(text, "test"); }
        catch (ProblemException e) { Assert.StartsWith("test:", e.Message); }
    }).MustHold(5000);

    [Fact]
    public void Aliases_of_aliases_cannot_grow_without_bound()
    {
        var lines = Enumerable.Range(1, 20).Select(i => $"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]");
        var bomb = "a0: &a0 [x]\n" + string.Join("\n", lines);
        Assert.Contains("aliases expand to more than", Assert.Throws<ProblemException>(() => YamlText.Parse(bomb, "bomb")).Message);
    }

    [Fact]
    public void Nesting_is_limited() =>
        Assert.Contains("nesting", Assert.Throws<ProblemException>(() => YamlText.Parse(new string('[', 5000), "deep")).Message);
}
