using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Patch;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Patch;

public class JsonPatchTests
{
    [Theory]
    [InlineData("""[{"op":"add","path":"/a/b","value":1}]""", """{"a":{}}""", """{"a":{"b":1}}""")]
    [InlineData("""[{"op":"add","path":"/l/-","value":3},{"op":"add","path":"/l/0","value":0}]""", """{"l":[1,2]}""", """{"l":[0,1,2,3]}""")]
    [InlineData("""[{"op":"remove","path":"/l/1"}]""", """{"l":[1,2,3]}""", """{"l":[1,3]}""")]
    [InlineData("""[{"op":"replace","path":"/a~1b","value":2},{"op":"test","path":"/a~1b","value":2}]""", """{"a/b":1}""", """{"a/b":2}""")]
    [InlineData("""[{"op":"move","from":"/a","path":"/b"},{"op":"copy","from":"/b","path":"/c"}]""", """{"a":{"x":1}}""", """{"b":{"x":1},"c":{"x":1}}""")]
    public void Operations_follow_the_standard(string patch, string target, string expected) =>
        Assert.Equal(expected, JsonPatch.Apply((JsonArray)JsonNode.Parse(patch)!, JsonNode.Parse(target))!.ToJsonString());

    [Theory]
    [InlineData("""[{"op":"remove","path":"/none"}]""")]
    [InlineData("""[{"op":"replace","path":"/none","value":1}]""")]
    [InlineData("""[{"op":"test","path":"/a","value":2}]""")]
    [InlineData("""[{"op":"add","path":"/l/9","value":1}]""")]
    [InlineData("""[{"op":"add","path":"a","value":1}]""")]
    [InlineData("""[{"op":"spin","path":"/a"}]""")]
    [InlineData("""[{"op":"add","path":"/x"}]""")]
    [InlineData("[1]")]
    public void What_does_not_fit_is_refused(string patch) =>
        Assert.Throws<JsonPatchException>(() => JsonPatch.Apply((JsonArray)JsonNode.Parse(patch)!, JsonNode.Parse("""{"a":1,"l":[]}""")));

    [Fact]
    public void A_missing_path_is_named()
    {
        var problem = Assert.Throws<JsonPatchException>(() =>
            JsonPatch.Apply((JsonArray)JsonNode.Parse("""[{"op": "replace", "path": "/nosuch/path", "value": 1}]""")!, new JsonObject()));
        Assert.Equal("replace operation does not apply: doc is missing path: /nosuch/path: missing value", problem.Message);
    }

    [Fact]
    public void No_list_of_operations_does_anything_but_apply_or_be_refused()
    {
        var pointer = Gen.Elements("", "/", "/a", "/a/b", "/l/0", "/l/-", "/l/01", "/~2", "x", "/l/-1");
        var op = Gen.Elements("add", "remove", "replace", "move", "copy", "test", "");
        var operation = from o in op
            from path in pointer
            from target in pointer
            select (JsonNode)new JsonObject { ["op"] = o, ["path"] = path, ["from"] = target, ["value"] = 1 };
        Prop.ForAll(Gen.ListOf(operation).Select(list => new JsonArray([.. list.Select(node => node.DeepClone())])).ToArbitrary(), patch =>
        {
            try
            {
                JsonPatch.Apply(patch, JsonNode.Parse("""{"a":{"b":1},"l":[1,2]}"""));
            }
            catch (JsonPatchException)
            {
                // A rejected patch is as good as an applied one.
            }
            return true;
        }).MustHold(500);
    }

    [Theory]
    [InlineData("""{"a":"b"}""", """{"a":"c"}""", """{"a":"c"}""")]
    [InlineData("""{"a":"b","b":"c"}""", """{"a":null}""", """{"b":"c"}""")]
    [InlineData("""{"a":["b"]}""", """{"a":"c"}""", """{"a":"c"}""")]
    [InlineData("""{"a":{"b":"c"}}""", """{"a":{"b":"d","c":null}}""", """{"a":{"b":"d"}}""")]
    [InlineData("""{"a":[{"b":"c"}]}""", """{"a":[1]}""", """{"a":[1]}""")]
    [InlineData("""{"e":null}""", """{"a":1}""", """{"e":null,"a":1}""")]
    [InlineData("{}", """{"a":{"bb":{"ccc":null}}}""", """{"a":{"bb":{}}}""")]
    public void Merge_patches_follow_the_standard(string target, string patch, string expected) =>
        Assert.Equal(expected, MergePatch.Apply((JsonObject)JsonNode.Parse(patch)!, (JsonObject)JsonNode.Parse(target)!).ToJsonString());
}
