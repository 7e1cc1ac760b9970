using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Patch;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Patch;

public class StrategicMergePatchTests
{
    private static readonly TypeSchema PodSpec = BuiltInTypes.Find("core/v1.PodSpec")!;
    private static readonly TypeSchema DeploymentSpec = BuiltInTypes.Find("apps/v1.DeploymentSpec")!;
    private static readonly TypeSchema ObjectMeta = BuiltInTypes.Find("meta/v1.ObjectMeta")!;

    [Theory]
    [InlineData("""{"containers":[{"name":"a","image":"2"}]}""", """{"containers":[{"name":"a","image":"2"},{"name":"b","image":"1"}]}""")]
    [InlineData("""{"containers":[{"name":"new","image":"1"}]}""",
        """{"containers":[{"name":"new","image":"1"},{"name":"a","image":"1"},{"name":"b","image":"1"}]}""")]
    [InlineData("""{"$setElementOrder/containers":[{"name":"a"},{"name":"b"},{"name":"new"}],"containers":[{"name":"new","image":"1"}]}""",
        """{"containers":[{"name":"a","image":"1"},{"name":"b","image":"1"},{"name":"new","image":"1"}]}""")]
    [InlineData("""{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}""", """{"containers":[{"name":"b","image":"1"},{"name":"a","image":"1"}]}""")]
    [InlineData("""{"containers":[{"$patch":"delete","name":"a"}]}""", """{"containers":[{"name":"b","image":"1"}]}""")]
    [InlineData("""{"containers":[{"$patch":"replace"},{"name":"only","image":"9"}]}""", """{"containers":[{"name":"only","image":"9"}]}""")]
    [InlineData("""{"containers":[{"name":"a","image":null}]}""", """{"containers":[{"name":"a"},{"name":"b","image":"1"}]}""")]
    [InlineData("""{"containers":null}""", "{}")]
    [InlineData("""{"nodeSelector":{"disk":"ssd","gone":null}}""",
        """{"containers":[{"name":"a","image":"1"},{"name":"b","image":"1"}],"nodeSelector":{"disk":"ssd"}}""")]
    public void Lists_merge_by_their_key(string patch, string expected) =>
        Same(expected, Apply(patch, """{"containers":[{"name":"a","image":"1"},{"name":"b","image":"1"}]}""", PodSpec));

    [Fact]
    public void Retained_keys_drop_their_siblings() =>
        Same("""{"strategy":{"type":"Recreate"}}""",
            Apply("""{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}""", """{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}""",
                DeploymentSpec));

    [Fact]
    public void A_map_can_be_replaced_whole() =>
        Same("""{"labels":{"b":"2"}}""", Apply("""{"labels":{"$patch":"replace","b":"2"}}""", """{"labels":{"a":"1"}}""", ObjectMeta));

    [Fact]
    public void Items_are_taken_out_of_primitive_lists_and_added_without_duplicates() =>
        Same("""{"finalizers":["c","b"]}""",
            Apply("""{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["c","b"],"$setElementOrder/finalizers":["c","b"]}""",
                """{"finalizers":["a","b"]}""", ObjectMeta));

    [Theory]
    [InlineData("""{"containers":[{"image":"2"}]}""", "does not contain declared merge key: name")]
    [InlineData("""{"containers":[{"$patch":"upsert","name":"a"}]}""", "unknown patch type")]
    [InlineData("""{"$patch":"x"}""", "unknown patch type")]
    public void What_cannot_be_applied_is_refused(string patch, string says)
    {
        var e = Assert.Throws<ApiException>(() => Apply(patch, """{"containers":[{"name":"a"}]}""", PodSpec));
        Assert.Equal(500, e.Code);
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Applying_a_patch_twice_is_applying_it_once()
    {
        var name = Gen.Elements("a", "b", "c", "d");
        var container = from n in name from image in Gen.Elements("1", "2", "3") select (n, image);
        var lists = from old in Gen.ListOf(container) from patch in Gen.ListOf(container) select (Containers(old), Containers(patch));
        Prop.ForAll(lists.ToArbitrary(), pair =>
        {
            var once = StrategicMergePatch.Apply(pair.Item2, (JsonObject)pair.Item1.DeepClone(), PodSpec);
            var text = once.ToJsonString();
            var twice = StrategicMergePatch.Apply(pair.Item2, (JsonObject)JsonNode.Parse(text)!, PodSpec);
            return text == twice.ToJsonString();
        }).MustHold(100);
    }

    [Fact]
    public void The_given_order_of_elements_is_the_order_of_the_result()
    {
        var names = Gen.Shuffle(["a", "b", "c", "d", "e"]);
        var cases = from order in names from held in Gen.Choose(0, 5) select (order, held);
        Prop.ForAll(cases.ToArbitrary(), example =>
        {
            var old = Containers([.. example.order.Take(example.held).Order().Select(n => (n, "1"))]);
            var patch = Containers([.. example.order.Skip(example.held).Select(n => (n, "1"))]);
            patch["$setElementOrder/containers"] = new JsonArray([.. example.order.Select(n => (JsonNode)new JsonObject { ["name"] = n })]);
            var result = StrategicMergePatch.Apply(patch, old, PodSpec);
            return ((JsonArray)result["containers"]!).Select(item => (string?)item!["name"]).SequenceEqual(example.order);
        }).MustHold(100);
    }

    private static JsonObject Containers(IEnumerable<(string Name, string Image)> containers) => new()
    {
        ["containers"] = new JsonArray([.. containers.DistinctBy(c => c.Name)
            .Select(c => (JsonNode)new JsonObject { ["name"] = c.Name, ["image"] = c.Image })]),
    };

    private static string Apply(string patch, string target, TypeSchema type) =>
        StrategicMergePatch.Apply((JsonObject)JsonNode.Parse(patch)!, (JsonObject)JsonNode.Parse(target)!, type).ToJsonString();

    private static void Same(string expected, string actual) => Assert.Equal(JsonNode.Parse(expected)!.ToJsonString(), actual);
}
