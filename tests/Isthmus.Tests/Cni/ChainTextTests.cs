using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Cni.Chain;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Cni;

/// <summary>Our entry comes and goes; every other byte of the network's configuration stays.</summary>
public sealed class ChainTextTests
{
    private const string Entry = """{"type":"istio-cni","agent_socket":"/a"}""";

    [Theory]
    [InlineData(
        """{"cniVersion": "1.0.0", "name": "k8s", "plugins": [ {"type": "bridge", "mtu": 1e3}, {"type":"portmap", "capabilities": {"portMappings": true}} ]}""")]
    [InlineData(
        "{\n  \"plugins\": [\n    {\n      \"type\": \"calico\",\n      \"ünbekannt\": [1, {\"plugins\": [{\"type\": \"istio-cni\"}]}, null]\n    }\n  ],\n  "
            + "\"name\": \"x\",\n  \"disableCheck\": true\n}\n\n")]
    [InlineData("""{"plugins":[],"plugins":[{"type":"flannel","type":"bridge"}]}""")]
    public void An_entry_that_is_removed_leaves_no_trace(string text)
    {
        var with = ChainText.With(text, Entry)!;
        var plugins = JsonNode.Parse(with.Replace("\"plugins\":[],", "", StringComparison.Ordinal)
            .Replace("\"type\":\"flannel\",", "", StringComparison.Ordinal))!["plugins"]!.AsArray();
        Assert.Equal(Entry, plugins[^1]!.ToJsonString());
        Assert.Equal(with, ChainText.With(with, Entry));
        Assert.Equal(text, ChainText.Without(with));
        Assert.Equal(text, ChainText.Without(text));
    }

    [Fact]
    public void An_entry_of_another_version_is_replaced_where_it_is()
    {
        const string text = """{"plugins": [{"type": "bridge"}, {"type": "istio-cni", "kubernetes": {}} , {"type": "tuning"}]}""";
        Assert.Equal($$"""{"plugins": [{"type": "bridge"}, {{Entry}} , {"type": "tuning"}]}""", ChainText.With(text, Entry));
        Assert.Equal("""{"plugins": [{"type": "bridge"} , {"type": "tuning"}]}""", ChainText.Without(text));
        Assert.Equal($$"""{"plugins": [{"type": "bridge"},{{Entry}}]}""",
            ChainText.With($$"""{"plugins": [{{Entry}}, {"type": "bridge"}, {{Entry}}]}""", Entry));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("""{"plugins": []}""")]
    [InlineData("""{"plugins": {"type": "bridge"}}""")]
    [InlineData("""{"plugins": ["bridge"]}""")]
    [InlineData("""{"plugins": [{"type": "istio-cni"}]}""")]
    [InlineData("""{"plugins": [{"type": "bridge"}]} x""")]
    [InlineData("""{"plugins": [{"type": "bridge"}""")]
    [InlineData("""{"type": "bridge"}""")]
    public void What_no_runtime_would_use_is_left_alone(string text) => Assert.Null(ChainText.With(text, Entry));

    [Fact]
    public void A_single_plugin_becomes_a_list_of_its_own_bytes()
    {
        const string text = "{ \"cniVersion\": \"0.3.1\", \"name\": \"my \\\"net\", \"type\": \"bridge\",\n\"more\": {} }\n";
        var list = ChainText.With(ChainText.Wrap(text)!, Entry)!;
        var parsed = JsonNode.Parse(list)!;
        Assert.Equal(("0.3.1", "my \"net", "bridge", "istio-cni"),
            (parsed["cniVersion"]!.ToString(), parsed["name"]!.ToString(), parsed["plugins"]![0]!["type"]!.ToString(),
                parsed["plugins"]![1]!["type"]!.ToString()));
        Assert.Contains(text.TrimEnd(), list, StringComparison.Ordinal);
        Assert.Equal(ChainText.Wrap(text), ChainText.Without(list));
        Assert.Null(ChainText.Wrap("""{"plugins": []}"""));
        Assert.Null(ChainText.Wrap("""{"type": "istio-cni"}"""));
        Assert.Null(ChainText.Wrap("""{"type": """));
    }

    [Fact]
    public void Any_list_survives() => Prop.ForAll(Lists(), text =>
    {
        var with = ChainText.With(text, Entry)!;
        var (before, after) = (JsonNode.Parse(text)!.AsObject(), JsonNode.Parse(with)!.AsObject());
        Assert.Equal(Entry, after["plugins"]!.AsArray()[^1]!.ToJsonString());
        after["plugins"]!.AsArray().RemoveAt(after["plugins"]!.AsArray().Count - 1);
        Assert.True(JsonNode.DeepEquals(before, after));
        Assert.Equal(text, ChainText.Without(with));
    }).MustHold(300);

    /// <summary>Lists with any fields, of any depth, compact and indented.</summary>
    private static Arbitrary<string> Lists()
    {
        var name = Gen.Elements("name", "cniVersion", "ipam", "Plugins", "typ\u00e9", "type ", "a\"b", "plugins2", "日本");
        var scalar = Gen.OneOf(ArbMap.Default.GeneratorFor<int>().Select(number => (JsonNode?)number),
            ArbMap.Default.GeneratorFor<NonNull<string>>().Select(text => (JsonNode?)Valid(text.Get)), Gen.Constant((JsonNode?)null),
            Gen.Constant((JsonNode?)true));
        Gen<JsonNode?> Value(int depth) =>
            depth == 0
                ? scalar
                : Gen.OneOf(scalar, Fields(depth - 1).Select(map => (JsonNode?)map),
                    Gen.ListOf(Value(depth - 1)).Select(items => (JsonNode?)new JsonArray([.. items.Select(item => item?.DeepClone())])));
        Gen<JsonObject> Fields(int depth) => Gen.ListOf(name.SelectMany(key => Value(depth).Select(value => KeyValuePair.Create(key, value))))
            .Select(fields => new JsonObject(fields.GroupBy(field => field.Key)
                .Select(group => KeyValuePair.Create(group.Key, group.First().Value?.DeepClone()))));
        var plugin = Fields(2)
            .SelectMany(fields => Gen.Elements("bridge", "calico", "istio-cnix")
                .Select(type => { var made = (JsonObject)fields.DeepClone(); made["type"] = type; return made; }));
        return (from head in Fields(2)
                from plugins in Gen.NonEmptyListOf(plugin)
                from indented in ArbMap.Default.GeneratorFor<bool>()
                from end in Gen.Elements("", "\n", "\r\n \t")
                select Print(head, plugins, indented) + end).ToArbitrary();
    }

    private static string Valid(string text) => new([.. text.Where(letter => !char.IsSurrogate(letter))]);

    private static string Print(JsonObject head, IEnumerable<JsonObject> plugins, bool indented)
    {
        var list = (JsonObject)head.DeepClone();
        list["plugins"] = new JsonArray([.. plugins.Select(plugin => (JsonNode)plugin.DeepClone())]);
        return list.ToJsonString(new JsonSerializerOptions
        {
            WriteIndented = indented, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping
        });
    }
}
