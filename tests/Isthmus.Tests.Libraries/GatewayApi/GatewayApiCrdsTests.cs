using System.Text.Json.Nodes;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Xunit;

namespace Isthmus.Tests.Libraries.GatewayApi;

/// <summary>The definitions of the Gateway API, from their short form.</summary>
public sealed class GatewayApiCrdsTests
{
    [Fact]
    public void Every_kind_of_the_standard_channel_that_control_planes_read_has_a_definition()
    {
        var kinds = MeshApi.All.Where(kind => kind.Group == GatewayApiCrds.Group).ToDictionary(kind => kind.CrdName);
        Assert.Equal(kinds.Keys.Order(StringComparer.Ordinal), GatewayApiCrds.All.Select(Name).Order(StringComparer.Ordinal));
        foreach (var definition in GatewayApiCrds.All)
        {
            var (kind, spec) = (kinds[Name(definition)], definition["spec"]!);
            Assert.Equal((kind.Kind, kind.IsNamespaced ? "Namespaced" : "Cluster"), (spec["names"]!["kind"]!.ToString(), spec["scope"]!.ToString()));
            var versions = spec["versions"]!.AsArray();
            Assert.Subset(kind.Versions.ToHashSet(), versions.Select(version => version!["name"]!.ToString()).ToHashSet());
            Assert.Contains(versions, version => version!["name"]!.ToString() == kind.ReadVersion && (bool)version["served"]!);
            Assert.Single(versions, version => (bool)version!["storage"]!);
            Assert.Equal(("v1.6.1", "standard"), (Said(definition, GatewayApiCrds.VersionAnnotation), Said(definition, GatewayApiCrds.ChannelAnnotation)));
        }
    }

    /// <summary>One kind with all that the short form can say.</summary>
    [Fact]
    public void The_short_form_says_all_of_a_schema()
    {
        var notation = new CrdNotation(new StringReader("""
            # A comment.
            kind Light: lights cluster

            type LightSpec
              color!: Color default=red
              lamps: []Lamp 1..3 by=name,place
                must self.all(l,
                    l.name != 'x')
                says no lamp
                    is x
              labels: {}string ..2
              level: int32 0..9 default=5
              codes: []integer set
              conditions: []string atomic pending=Accepted,Ready
              one-of [{"required": ["lamps"]}, {"required": ["level"]}]
              must has(self.level)
              says a level

            type Color: string ..8 in=red|green pattern=^[a-z]*$

            type Lamp: object atomic
              name!: string
              since: time

            """));
        Assert.Equal("Light: lights cluster", Assert.Single(notation.Kinds).Rest);
        var shape = notation.Field(new("spec: LightSpec", []));
        var expected = JsonNode.Parse("""
            {"type": "object", "required": ["color"], "oneOf": [{"required": ["lamps"]}, {"required": ["level"]}],
             "x-kubernetes-validations": [{"rule": "has(self.level)", "message": "a level"}],
             "properties": {
               "color": {"type": "string", "maxLength": 8, "enum": ["red", "green"], "pattern": "^[a-z]*$", "default": "red"},
               "lamps": {"type": "array", "minItems": 1, "maxItems": 3, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "place"],
                 "x-kubernetes-validations": [{"rule": "self.all(l, l.name != 'x')", "message": "no lamp is x"}],
                 "items": {"type": "object", "x-kubernetes-map-type": "atomic", "required": ["name"],
                   "properties": {"name": {"type": "string"}, "since": {"type": "string", "format": "date-time"}}}},
               "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2},
               "level": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 9, "default": 5},
               "codes": {"type": "array", "items": {"type": "integer"}, "x-kubernetes-list-type": "set"},
               "conditions": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic", "default": [
                {"lastTransitionTime": "1970-01-01T00:00:00Z", "message": "Waiting for controller", "reason": "Pending", "status": "Unknown",
                  "type": "Accepted"},
                {"lastTransitionTime": "1970-01-01T00:00:00Z", "message": "Waiting for controller", "reason": "Pending", "status": "Unknown",
                  "type": "Ready"}]}}}
            """);
        Assert.True(JsonNode.DeepEquals(expected, shape), shape.ToJsonString());
    }

    private static string Name(JsonObject definition) => definition["metadata"]!["name"]!.ToString();

    private static string Said(JsonObject definition, string annotation) => definition["metadata"]!["annotations"]![annotation]!.ToString();
}
