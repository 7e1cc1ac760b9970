using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Cel;
using Isthmus.Lab.ApiServer.CustomResources;
using Isthmus.Testing;
using Isthmus.Wire.Cel;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.CustomResources;

public sealed class CelTests
{
    private const string Self =
        """{"mode": "Lax", "replicas": 7, "ratio": 0.5, "hosts": ["a", "bb"], "on": true, "x-y": 1, "nested": {"name": "n"}, "none": null, "namespace": "n"}""";

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
    [InlineData(@"self.mode == '\x4c\141\u0078' && '\U0001F600'.size() == 1 && r'\d' == '\\d'", true)]
    [InlineData("\"\"\"a\n'b'\"\"\" == 'a\\n\\'b\\'' && 0x1F == 31 && 1e3 == 1000.0 && .5 < 1.0 // a comment", true)]
    [InlineData("self.__namespace__ == 'n'", true)]
    [InlineData("duration('1h30m') == duration('5400s') && duration('-1.5ms') < duration('0') && duration('1us') > duration('999ns')", true)]
    [InlineData("url('HTTPS://a.example/x?y').getScheme() == 'https' && url('/a').getScheme() == ''", true)]
    [InlineData("isURL('oci://a.example/b:1') && isURL('file:///x') && !isURL('a.example/b') && !isURL('http://a b') && !isURL('')", true)]
    public void Rules_are_answered_as_CEL_says(string rule, bool answer) => Assert.Equal(answer, Evaluate(rule));

    [Theory]
    [InlineData("self.nosuch == 1", "no such key: nosuch")]
    [InlineData("self.replicas / 0 == 1", "division by zero")]
    [InlineData("self.mode + 1 == 2", "no such overload")]
    [InlineData("self.hosts[5] == 'x'", "index out of bounds: 5")]
    [InlineData("duration('5') > duration('1s')", "invalid duration: 5")]
    [InlineData("duration('9999999h') > duration('1s')", "invalid duration: 9999999h")]
    [InlineData("url('x') == url('y')", "URL parse error during conversion from string: x")]
    [InlineData("self.mode.getScheme() == ''", "no such overload")]
    [InlineData("nobody == 1", "undeclared reference to 'nobody'")]
    public void What_has_no_answer_says_why(string rule, string why) =>
        Assert.Equal(why, Assert.Throws<CelFailureException>(() => Evaluate(rule)).Message);

    [Theory]
    [InlineData("isSemver(self.x)")]
    [InlineData("timestamp(self.x).getHours('Europe/Berlin') < 5")]
    [InlineData("b'x' == b\"x\" || br'x' == bytes('x')")]
    [InlineData("{'a': 1, ?'b': self.?b,}.a == 1 && {} == {}")]
    [InlineData("[?self.?x, 1,] == []")]
    [InlineData("google.protobuf.Timestamp{seconds: 5, nanos: 1} == .self.time")]
    [InlineData("self.transformMapEntry(i, v, {i: v}) == {}")]
    public void What_is_not_evaluated_here_is_kept_without_effect(string rule)
    {
        Assert.Null(CelParser.Problem(rule));
        Assert.Empty(SchemaRule.Read(new JsonArray(new JsonObject { ["rule"] = rule })));
    }

    [Theory]
    [InlineData("self.", "1:6: Syntax error: mismatched input '<EOF>' expecting IDENTIFIER\n | self.\n | .....^")]
    [InlineData("self.a +",
        "1:9: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, "
            + "BYTES, IDENTIFIER}\n | self.a +\n | ........^")]
    [InlineData("1 + this does not compile", "1:10: Syntax error: mismatched input 'does' expecting <EOF>\n | 1 + this does not compile\n | .........^")]
    [InlineData("self.a b", "1:8: Syntax error: extraneous input 'b' expecting <EOF>\n | self.a b\n | .......^")]
    [InlineData("self.x == 'open", "1:11: Syntax error: token recognition error at: ''open'\n | self.x == 'open\n | ..........^")]
    [InlineData("true &&\n\tself # 1", "2:7: Syntax error: token recognition error at: '#'\n |  self # 1\n | ......^")]
    [InlineData("(self.a", "1:8: Syntax error: mismatched input '<EOF>' expecting ')'\n | (self.a\n | .......^")]
    [InlineData("has(self)", "1:5: invalid argument to has() macro\n | has(self)\n | ....^")]
    [InlineData("self.all(1, true)", "1:10: argument must be a simple name\n | self.all(1, true)\n | .........^")]
    [InlineData("while == 1", "1:1: reserved identifier: while\n | while == 1\n | ^")]
    [InlineData("isSemver(self.x) && self.all(", null)]
    [InlineData("{'a': }", null)]
    [InlineData("[1,,2]", null)]
    [InlineData("f(1,)", null)]
    [InlineData("a ? b ? c : d : e", null)]
    [InlineData("'\\y'", null)]
    [InlineData("", null)]
    public void What_is_not_CEL_is_named_with_its_place(string rule, string? problem)
    {
        var found = CelParser.Problem(rule);
        Assert.StartsWith("ERROR: <input>:", found, StringComparison.Ordinal);
        if (problem is not null) Assert.Equal("ERROR: <input>:" + problem, found);
    }

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

    /// <summary>An expression without a value of one line leaves the message as it is.</summary>
    [Theory]
    [InlineData("'%d of %s'.format([self.replicas, self.mode])", "7 of Lax")]
    [InlineData("string(self.nosuch)", "fewer")]
    [InlineData("'  '", "fewer")]
    [InlineData(@"'a\nb'", "fewer")]
    [InlineData("self.replicas", "fewer")]
    [InlineData("isSemver(self.mode) ? 'a' : 'b'", "fewer")]
    public void A_message_may_be_an_expression(string expression, string message)
    {
        var rule = Assert.Single(SchemaRule.Read(new JsonArray(
            new JsonObject { ["rule"] = "self.replicas < 5", ["message"] = "fewer", ["messageExpression"] = expression })));
        Assert.Equal($"Invalid value: \"object\": {message}", rule.Check(JsonNode.Parse(Self), null, "spec", "object")!.Detail);
    }

    [Fact]
    public void No_text_breaks_the_reader_or_the_evaluation() => Prop.ForAll(
        Gen.Elements("self", "oldSelf", ".", "a", "mode", "(", ")", "[", "]", "'x'", "\"", "1", "2.5", "+", "-", "==", "&&", "||", "!", "?", ":", ",", "has",
            "size", "all", " ", "in", "%", "r'", "\\")
            .ListOf().Select(parts => string.Concat(parts)).ToArbitrary(),
        text =>
        {
            foreach (var rule in SchemaRule.Read(new JsonArray(new JsonObject { ["rule"] = text })))
                _ = rule.Check(JsonNode.Parse(Self), JsonNode.Parse(Self), "spec", "object");
        }).MustHold();

    private static bool Evaluate(string rule) =>
        CelParser.Parse(rule, CelFunctions.Knows).Truth(CelScope.Of(("self", CelValues.Of(JsonNode.Parse(Self))), ("oldSelf", null)));
}
