using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.CustomResources;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.CustomResources;

public sealed class CelTests
{
    private const string Self = """{"mode": "Lax", "replicas": 7, "ratio": 0.5, "hosts": ["a", "bb"], "on": true, "x-y": 1, "nested": {"name": "n"}, "none": null}""";

    [Theory]
    [InlineData("self.mode != 'Lax' || self.replicas < 5", false)]
    [InlineData("self.replicas + 1 == 8 && self.replicas % 2 == 1", true)]
    [InlineData("self.ratio * 2 == 1", true)]
    [InlineData("has(self.nested.name) && !has(self.nested.other)", true)]
    [InlineData("!has(self.nested.other) || self.nested.other.deep == 1", true)]
    [InlineData("self.hosts.all(h, h.size() <= 2) && self.hosts.exists(h, h == 'bb')", true)]
    [InlineData("self.hosts.exists_one(h, h.startsWith('b'))", true)]
    [InlineData("size(self.hosts.filter(h, h.endsWith('b'))) == 1", true)]
    [InlineData("self.hosts.map(h, h + '!')[1] == \"bb!\"", true)]
    [InlineData("'a' in self.hosts && !('z' in self.hosts) && self.mode in ['Lax', 'Strict']", true)]
    [InlineData("self.mode.matches('^[A-Z][a-z]+$')", true)]
    [InlineData("self.on ? self.replicas == 7 : false", true)]
    [InlineData("self.x__dash__y == 1 && 'nested' in self && self['mode'] == 'Lax'", true)]
    [InlineData("self.none == null && -self.replicas == -7 && -(1) < 0", true)]
    [InlineData("self == oldSelf", false)]
    [InlineData("[1, 2] + [3] == [1, 2, 3] && [1, 2].isSorted() && [3, 9].max() == 9", true)]
    public void Rules_are_answered_as_CEL_says(string rule, bool answer) => Assert.Equal(answer, Evaluate(rule));

    [Theory]
    [InlineData("self.nosuch == 1", "no such key: nosuch")]
    [InlineData("self.replicas / 0 == 1", "division by zero")]
    [InlineData("self.mode + 1 == 2", "no such overload")]
    [InlineData("self.hosts[5] == 'x'", "index out of bounds: 5")]
    [InlineData("nobody == 1", "undeclared reference to 'nobody'")]
    public void What_has_no_answer_says_why(string rule, string why) =>
        Assert.Equal(why, Assert.Throws<CelFailureException>(() => Evaluate(rule)).Message);

    [Theory]
    [InlineData("")]
    [InlineData("self.")]
    [InlineData("isURL(self.x)")]
    [InlineData("self.x == 'open")]
    [InlineData("duration(self.x) < duration('5s')")]
    public void What_is_not_evaluated_here_is_kept_without_effect(string rule) =>
        Assert.Empty(SchemaRule.Read(new JsonArray(new JsonObject { ["rule"] = rule })));

    [Fact]
    public void A_rule_that_would_run_for_ever_is_stopped()
    {
        var many = new JsonArray([.. Enumerable.Range(0, 2000).Select(i => (JsonNode)i)]);
        var rule = Assert.Single(SchemaRule.Read(new JsonArray(new JsonObject { ["rule"] = "self.all(a, self.all(b, a + b >= 0))" })));
        Assert.Contains("takes too much work", rule.Check(many, null, "spec", "array")!.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Errors_name_the_field_and_carry_the_message()
    {
        var schema = StructuralSchema.Read((JsonObject)JsonNode.Parse("""
            {"type": "object", "properties": {"spec": {"type": "object",
              "properties": {"immutable": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "immutable is immutable"}]},
                "replicas": {"type": "integer"}},
              "x-kubernetes-validations": [{"rule": "self.replicas < 5", "message": "fewer than 5"}, {"rule": "self.replicas > 0"}]}}}
            """)!);
        var old = JsonNode.Parse("""{"spec": {"immutable": "x", "replicas": 1}}""");
        Assert.Equal(
            ["spec: Invalid value: \"object\": fewer than 5"],
            SchemaRules.Validate(JsonNode.Parse("""{"spec": {"immutable": "y", "replicas": 7}}"""), null, schema, "").Select(error => error.ToString()));
        Assert.Equal(
            ["spec: Invalid value: \"object\": failed rule: self.replicas > 0", "spec.immutable: Invalid value: \"string\": immutable is immutable"],
            SchemaRules.Validate(JsonNode.Parse("""{"spec": {"immutable": "y", "replicas": 0}}"""), old, schema, "").Select(error => error.ToString()));
    }

    [Fact]
    public void No_text_breaks_the_reader_or_the_evaluation() => Prop.ForAll(
        Gen.Elements("self", "oldSelf", ".", "a", "mode", "(", ")", "[", "]", "'x'", "\"", "1", "2.5", "+", "-", "==", "&&", "||", "!", "?", ":", ",", "has", "size", "all", " ", "in", "%", "r'", "\\")
            .ListOf().Select(parts => string.Concat(parts)).ToArbitrary(),
        text =>
        {
            foreach (var rule in SchemaRule.Read(new JsonArray(new JsonObject { ["rule"] = text })))
                _ = rule.Check(JsonNode.Parse(Self), JsonNode.Parse(Self), "spec", "object");
        }).MustHold();

    private static bool Evaluate(string rule)
    {
        var budget = new CelScope.Budget();
        var scope = new CelScope(new(null, "oldSelf", null, budget), "self", CelValues.Of(JsonNode.Parse(Self)), budget);
        return CelParser.Parse(rule).Truth(scope);
    }
}
