using System.Text.Json.Nodes;
using System.Text;
using FsCheck.Fluent;
using FsCheck;
using Isthmus.Lab.ApiServer.Admission;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Admission;

public sealed class JsonPatchTextTests
{
    [Theory]
    [InlineData("""[{"op": "add", "path": "/a", "value": 1}]""", """{"b": [1, 2], "a": 1}""")]
    [InlineData("""[{"op": "add", "path": "/b/-", "value": 3}]""", """{"b": [1, 2, 3]}""")]
    [InlineData("""[{"op": "add", "path": "/b/0", "value": 0}]""", """{"b": [0, 1, 2]}""")]
    [InlineData("""[{"op": "remove", "path": "/b/1"}]""", """{"b": [1]}""")]
    [InlineData("""[{"op": "replace", "path": "/b", "value": {}}, {"op": "add", "path": "/b/x~1y", "value": null}]""", """{"b": {"x/y": null}}""")]
    [InlineData("""[{"op": "test", "path": "/b/0", "value": 1}, {"op": "copy", "from": "/b/0", "path": "/c"}, {"op": "move", "from": "/b", "path": "/d"}]""", """{"c": 1, "d": [1, 2]}""")]
    public void Operations_apply_in_order(string patch, string expected)
    {
        var patched = JsonPatchText.Apply(Encoding.UTF8.GetBytes(patch), JsonNode.Parse("""{"b": [1, 2]}""")!);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), patched), patched?.ToJsonString());
    }

    [Fact]
    public void A_missing_path_is_named()
    {
        var problem = Assert.Throws<JsonPatchException>(() =>
            JsonPatchText.Apply("""[{"op": "replace", "path": "/nosuch/path", "value": 1}]"""u8, new JsonObject()));
        Assert.Equal("replace operation does not apply: doc is missing path: /nosuch/path: missing value", problem.Message);
    }

    [Fact]
    public void Whatever_a_webhook_answers_is_applied_or_refused() => Check.QuickThrowOnFailure(Prop.ForAll(
        Operations().ToArbitrary(),
        patch =>
        {
            var document = JsonNode.Parse("""{"a": {"b": [1, {"c": null}]}, "": 1}""")!;
            try
            {
                JsonPatchText.Apply(Encoding.UTF8.GetBytes(patch), document);
            }
            catch (JsonPatchException)
            {
                return true;
            }
            return JsonNode.DeepEquals(document, JsonNode.Parse("""{"a": {"b": [1, {"c": null}]}, "": 1}"""));
        }));

    private static Gen<string> Operations()
    {
        var path = Gen.Elements("", "/", "/a", "/a/b", "/a/b/-", "/a/b/0", "/a/b/1/c", "/a/b/9", "a", "/a/b/-1", "/x/y", "//");
        var operation =
            from op in Gen.Elements("add", "remove", "replace", "move", "copy", "test", "", "other")
            from at in path
            from origin in path
            from value in Gen.Elements("1", "null", "{}", "[]", "\"t\"")
            select $$"""{"op": "{{op}}", "path": "{{at}}", "from": "{{origin}}", "value": {{value}}}""";
        return Gen.OneOf(
            operation.ListOf().Select(list => $"[{string.Join(",", list)}]"),
            Gen.Elements("", "[", "{}", "[1]", "null", "[null]", "\"x\""));
    }
}
