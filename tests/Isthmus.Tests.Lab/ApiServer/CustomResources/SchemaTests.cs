using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.CustomResources;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.CustomResources;

public sealed class SchemaTests
{
    private static readonly StructuralSchema Schema = StructuralSchema.Read((JsonObject)JsonNode.Parse("""
        {"type": "object", "properties": {"spec": {"type": "object", "required": ["hosts"], "properties": {
          "hosts": {"type": "array", "minItems": 1, "items": {"type": "string", "maxLength": 20}, "x-kubernetes-list-type": "set"},
          "mode": {"type": "string", "enum": ["Strict", "Lax"], "default": "Strict"},
          "replicas": {"type": "integer", "minimum": 0, "maximum": 9, "default": 1},
          "port": {"x-kubernetes-int-or-string": true},
          "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
          "embedded": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
          "when": {"type": "string", "format": "date-time"},
          "opt": {"type": "string", "nullable": true, "default": "o"},
          "either": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
          "servers": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"],
              "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "weight": {"type": "integer", "default": 100}}}},
          "map": {"type": "object", "additionalProperties": {"type": "string"}}}}}}
        """)!);

    [Fact]
    public void Unknown_fields_are_dropped_and_named()
    {
        var o = Parse(
            """
            {"apiVersion": "v1", "spec": {"unknown": 1, "free": {"any": 1}, "map": {"x": "y"}, "servers": [{"name": "x", "bogus": 1}],
              "embedded": {"kind": "K", "metadata": {"name": "e", "nonsense": 1}, "rest": 1}}, "bogus": true}
            """);
        var dropped = new List<string>();
        Pruning.Prune(o, Schema, dropped);
        Assert.Equal(
            """{"apiVersion":"v1","spec":{"free":{"any":1},"map":{"x":"y"},"servers":[{"name":"x"}],"embedded":{"kind":"K","metadata":{"name":"e"},"rest":1}}}""",
            o.ToJsonString());
        Assert.Equal(
            ["unknown field \"spec.unknown\"", "unknown field \"spec.servers[0].bogus\"", "unknown field \"spec.embedded.metadata.nonsense\"",
                "unknown field \"bogus\""],
            dropped);
    }

    [Fact]
    public void Defaults_are_filled_in_and_replace_a_forbidden_null()
    {
        var o = Parse("""{"spec": {"mode": null, "opt": null, "servers": [{"name": "x"}]}}""");
        Defaulting.Default(o, Schema);
        Assert.Equal("""{"spec":{"mode":"Strict","opt":null,"servers":[{"name":"x","weight":100}],"replicas":1}}""", o.ToJsonString());
    }

    [Fact]
    public void A_forbidden_null_without_a_default_is_dropped()
    {
        var o = Parse("""{"spec": {"hosts": null, "map": {"x": null, "y": "z"}, "free": {"kept": null}, "servers": [null]}}""");
        Defaulting.Default(o, Schema);
        Assert.Equal("""{"spec":{"map":{"y":"z"},"free":{"kept":null},"servers":[null],"mode":"Strict","replicas":1,"opt":"o"}}""", o.ToJsonString());
    }

    [Theory]
    [InlineData("""{"hosts": "a"}""", "spec.hosts: Invalid value: \"string\": spec.hosts in body must be of type array: \"string\"")]
    [InlineData("""{}""", "spec.hosts: Required value")]
    [InlineData("""{"hosts": []}""", "spec.hosts: Invalid value: 0: spec.hosts in body should have at least 1 items")]
    [InlineData("""{"hosts": ["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]}""", "spec.hosts[0]: Too long: may not be more than 20 bytes")]
    [InlineData("""{"hosts": ["a"], "mode": "Wild"}""", "spec.mode: Unsupported value: \"Wild\": supported values: \"Strict\", \"Lax\"")]
    [InlineData("""{"hosts": ["a"], "when": "yesterday"}""",
        "spec.when: Invalid value: \"yesterday\": spec.when in body must be of type date-time: \"yesterday\"")]
    [InlineData("""{"hosts": ["a"], "port": true}""", "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"")]
    [InlineData("""{"hosts": ["a"], "replicas": 44}""", "spec.replicas: Invalid value: 44: spec.replicas in body should be less than or equal to 9")]
    [InlineData("""{"hosts": ["a"], "servers": [{"name": "A"}, {}]}""",
        "spec.servers[0].name: Invalid value: \"A\": spec.servers[0].name in body should match '^[a-z]+$'", "spec.servers[1].name: Required value")]
    [InlineData("""{"hosts": ["a"], "either": {"a": "x", "b": 1}}""",
        "<nil>: Invalid value: \"\": \"spec.either\" must validate one and only one schema (oneOf). Found 2 valid alternatives")]
    [InlineData("""{"hosts": ["a"], "map": {"k": 1}}""", "spec.map.k: Invalid value: \"integer\": spec.map.k in body must be of type string: \"integer\"")]
    [InlineData("""{"hosts": ["a"], "port": "80", "when": "2026-01-01T00:00:00Z", "replicas": 9, "either": {"b": 2}}""")]
    public void Violations_are_listed_in_known_words(string spec, params string[] errors) =>
        Assert.Equal(errors, SchemaValidation.Validate(Parse($$"""{"spec": {{spec}}}"""), Schema).Select(error => error.ToString()));

    [Fact]
    public void Sets_and_maps_hold_each_key_once() => Assert.Equal(
        ["spec.hosts[1]: Duplicate value: \"a\"", "spec.servers[1]: Duplicate value: map[string]interface {}{\"name\":\"a\"}"],
        SchemaValidation.ValidateLists(Parse("""{"spec": {"hosts": ["a", "a"], "servers": [{"name": "a"}, {"name": "a"}]}}"""), Schema, "")
            .Select(error => error.ToString()));

    [Fact]
    public void Any_object_is_pruned_once_defaulted_once_and_judged() => Prop.ForAll(Objects().Resize(8).ToArbitrary(), json =>
    {
        var o = Parse(json);
        Pruning.Prune(o, Schema, null);
        Defaulting.Default(o, Schema);
        var once = o.ToJsonString();
        var dropped = new List<string>();
        Pruning.Prune(o, Schema, dropped);
        Defaulting.Default(o, Schema);
        Assert.Empty(dropped);
        Assert.Equal(once, o.ToJsonString());
        _ = SchemaValidation.Validate(o, Schema).Count + SchemaValidation.ValidateLists(o, Schema, "").Count();
    }).MustHold();

    [Theory]
    [InlineData(".spec.hosts", """["a","b"]""")]
    [InlineData(".spec.hosts[1]", "\"b\"")]
    [InlineData(".status.conditions[?(@.type==\"Ready\")].status", "\"True\"")]
    [InlineData(".status.conditions[?(@.type=='Other')].status", null)]
    [InlineData(".status.conditions[*].type", "\"Ready\"")]
    [InlineData(".metadata.labels.a\\.b/c", "\"l\"")]
    [InlineData(".metadata.labels['a.b/c']", "\"l\"")]
    [InlineData(".nosuch.path", null)]
    public void Printer_paths_find_the_first_value(string path, string? found)
    {
        var o = Parse(
            """{"metadata": {"labels": {"a.b/c": "l"}}, "spec": {"hosts": ["a", "b"]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}""");
        Assert.Equal(found, JsonPath.Parse(path)!.Find(o).FirstOrDefault()?.ToJsonString());
    }

    [Fact]
    public void No_path_breaks_the_table() => Prop.ForAll(
        Gen.Elements(".", "[", "]", "?(@", "==", "\"", "'", "a", "1", "*", ")", "\\", "-").ListOf().Select(parts => string.Concat(parts)).ToArbitrary(),
        path =>
        {
            _ = JsonPath.Parse(path)?.Find(Parse("""{"a": [{"a": 1}]}""")).Count();
        }).MustHold();

    [Fact]
    public void Versions_stand_in_order_of_preference() =>
        Assert.Equal(["v2", "v1", "v2beta1", "v1beta2", "v1beta1", "v1alpha1", "foo"],
            new[] { "v1alpha1", "foo", "v1beta1", "v2beta1", "v1", "v1beta2", "v2" }.Order(VersionOrder.Instance));

    [Theory]
    [InlineData("3s", true)]
    [InlineData("1h2m3.5s", true)]
    [InlineData("", false)]
    [InlineData("3", false)]
    [InlineData("s", false)]
    public void Durations_are_Gos(string text, bool fits) => Assert.Equal(fits, Formats.Fits("duration", text));

    private static JsonObject Parse(string json) => (JsonObject)JsonNode.Parse(json)!;

    private static Gen<string> Objects()
    {
        var names = Gen.Elements("spec", "hosts", "mode", "replicas", "port", "free", "embedded", "metadata", "kind", "when", "opt", "servers", "name",
            "weight", "map", "either", "a", "b", "bogus");
        return Node(4);

        Gen<string> Node(int depth)
        {
            var leaf = Gen.Elements("null", "1", "1.5", "1e99", "\"\"", "\"a\"", "\"Strict\"", "true", "[]", "{}");
            if (depth == 0) return leaf;
            var o = from keys in names.ListOf() from values in Node(depth - 1).ListOf(keys.Count)
                    select $"{{{string.Join(",", keys.Zip(values).DistinctBy(pair => pair.First).Select(pair => $"\"{pair.First}\":{pair.Second}"))}}}";
            if (depth == 4) return o;
            return Gen.Frequency((3, o), (2, Node(depth - 1).ListOf().Select(items => $"[{string.Join(",", items)}]")), (2, leaf));
        }
    }
}
