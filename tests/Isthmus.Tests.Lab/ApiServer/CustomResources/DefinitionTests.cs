using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.CustomResources;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.CustomResources;

public sealed class DefinitionTests : IDisposable
{
    private static readonly GroupResource Things = new("lab.test", "things");

    private readonly StoreRig _rig = new();
    private readonly DefinitionController _controller;

    public DefinitionTests()
    {
        _controller = new(_rig.Objects, _rig.Context.Kinds, _rig.Clock);
        _rig.Objects.Stored = (resource, change) =>
        {
            if (resource == Resources.Definitions)
                _rig.Kind(Resources.ExtensionsGroup, "v1", "customresourcedefinitions").Strategy
                    .Stored(change.Previous, change.Type == ChangeType.Deleted ? null : change.Object);
        };
    }

    [Fact]
    public async Task An_accepted_definition_serves_its_versions_preferred_first()
    {
        await DefineAsync("things", "Thing", "th");
        Assert.Null(_rig.Context.Kinds.FindAny("lab.test", "things"));
        await _controller.ReconcileAsync(default);
        var kinds = _rig.Context.Kinds.All.Where(kind => kind.Group == "lab.test").ToList();
        Assert.Equal(["v1", "v1beta1"], kinds.Select(kind => kind.Version));
        Assert.All(kinds, kind => Assert.Equal("lab.test/v1", kind.StorageApiVersion));
        Assert.Equal("lab.test/v1beta1 Thing is deprecated", kinds[1].DeprecationWarning);
        Assert.Equal("ThingList", kinds[0].ListKind);
        Assert.True(DefinitionConditions.IsTrue(Stored("things"), DefinitionConditions.Established));
    }

    [Fact]
    public async Task A_taken_short_name_is_refused_by_name()
    {
        await DefineAsync("things", "Thing", "th");
        await _controller.ReconcileAsync(default);
        await DefineAsync("others", "Other", "th");
        await _controller.ReconcileAsync(default);
        Assert.Null(_rig.Context.Kinds.FindAny("lab.test", "others"));
        var refusal = Json.Objects(Stored("others").At("status", "conditions")).First();
        Assert.Equal(("ShortNamesConflict", "\"th\" is already in use"), (Json.Text(refusal["reason"]), Json.Text(refusal["message"])));
    }

    [Fact]
    public async Task A_deleted_definition_goes_after_its_objects()
    {
        await DefineAsync("things", "Thing", "th");
        await _controller.ReconcileAsync(default);
        await _rig.PutAsync(Things, """{"metadata": {"name": "free", "namespace": "n"}}""");
        await _rig.PutAsync(Things, """{"metadata": {"name": "held", "namespace": "n", "finalizers": ["x/y"]}}""");
        await _rig.Objects.ChangeAsync(Resources.Definitions, "", "things.lab.test", definition =>
        {
            definition["metadata"]!["deletionTimestamp"] = "2026-01-01T00:00:00Z";
            return _rig.Kind(Resources.ExtensionsGroup, "v1", "customresourcedefinitions").Strategy.BeforeDelete(definition,
                _rig.Write(_rig.Kind("", "v1", "pods")));
        }, default);
        Assert.True(_rig.Context.Kinds.FindAny("lab.test", "things")!.CreateForbidden);
        Assert.True(await _controller.ReconcileAsync(default));
        Assert.Equal("held", Assert.Single(_rig.Objects.List(Things).Items).Name);
        await _rig.DeleteAsync(Things, "n", "held");
        Assert.False(await _controller.ReconcileAsync(default));
        Assert.Null(_rig.Objects.Find(Resources.Definitions, "", "things.lab.test"));
        Assert.Null(_rig.Context.Kinds.FindAny("lab.test", "things"));
    }

    [Fact]
    public void A_bad_definition_is_told_all_its_mistakes()
    {
        var kind = _rig.Kind(Resources.ExtensionsGroup, "v1", "customresourcedefinitions");
        var o = (JsonObject)JsonNode.Parse(
            """
            {"metadata": {"name": "wrong"}, "spec": {"group": "lab.test", "scope": "X", "names": {"plural": "things", "kind": "Thing"},
              "versions": [{"name": "v1", "served": true, "storage": false}]}}
            """)!;
        kind.Strategy.PrepareForCreate(o, _rig.Write(kind));
        kind.Strategy.Default(o);
        Assert.Equal(
            ["metadata.name", "spec.scope", "spec.versions[0].schema.openAPIV3Schema", "spec.versions", "status.storedVersions"],
            kind.Strategy.Validate(o, _rig.Write(kind)).Select(error => error.Field));
    }

    [Theory]
    [InlineData("v1")]
    [InlineData("v1", "v2")]
    public void A_rule_that_is_not_CEL_is_rejected(params string[] versions)
    {
        var kind = _rig.Kind(Resources.ExtensionsGroup, "v1", "customresourcedefinitions");
        var o = (JsonObject)JsonNode.Parse("""
            {"metadata": {"name": "things.lab.test"}, "spec": {"group": "lab.test", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
              "versions": []}}
            """)!;
        foreach (var version in versions)
        {
            o["spec"]!["versions"]!.AsArray().Add(JsonNode.Parse("""
                {"name": "VERSION", "served": true, "storage": false,
                 "schema": {"openAPIV3Schema": {"type": "object", "description": "VERSION",
                   "properties": {"spec": {"type": "object", "x-kubernetes-validations": [
                  {"rule": "has(self.a)"}, {"rule": "self.a +", "message": "m"}, {"rule": " "}, {"rule": "true", "messageExpression": "'x"}]}}}}}
                """.Replace("VERSION", version, StringComparison.Ordinal))!);
        }
        o["spec"]!["versions"]![0]!["storage"] = true;
        kind.Strategy.PrepareForCreate(o, _rig.Write(kind));
        kind.Strategy.Default(o);
        var schema = versions.Length == 1 ? "spec.validation.openAPIV3Schema" : "spec.versions[0].schema.openAPIV3Schema";
        var errors = kind.Strategy.Validate(o, _rig.Write(kind)).Select(error => error.ToString()).ToList();
        Assert.Equal(3 * versions.Length, errors.Count);
        Assert.Equal(
            [
                $"{schema}.properties[spec].x-kubernetes-validations[1].rule: Invalid value: apiextensions.ValidationRule{{Rule:\"self.a +\", Message:\"m\", "
                    + $"MessageExpression:\"\", "
                    + "Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:\"\", OptionalOldSelf:(*bool)(nil)}: compilation failed: ERROR: "
                    + "<input>:1:9: Syntax error: "
                    + "mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, "
                    + "IDENTIFIER}\n | self.a +\n | ........^",
                $"{schema}.properties[spec].x-kubernetes-validations[2].rule: Required value: rule is not specified",
                $"{schema}.properties[spec].x-kubernetes-validations[3].messageExpression: Invalid value: apiextensions.ValidationRule{{Rule:\"true\", "
                    + $"Message:\"\", MessageExpression:\"'x\", "
                    + "Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:\"\", OptionalOldSelf:(*bool)(nil)}: messageExpression compilation "
                    + "failed: ERROR: <input>:1:1: Syntax error: "
                    + "token recognition error at: ''x'\n | 'x\n | ^",
            ],
            errors.Take(3));
    }

    [Fact]
    public void An_expression_of_an_admission_policy_that_is_not_CEL_is_rejected()
    {
        var kind = _rig.Kind(Resources.AdmissionGroup, "v1", "validatingadmissionpolicies");
        var o = (JsonObject)JsonNode.Parse("""
            {"metadata": {"name": "p"}, "spec": {"variables": [{"name": "v", "expression": "object.spec"}],
              "validations": [{"expression": "variables.v.replicas <= 5"}, {"expression": "object.spec."}]}}
            """)!;
        Assert.Equal(
            ["spec.validations[1].expression: Invalid value: \"object.spec.\": compilation failed: ERROR: <input>:1:13: Syntax error: mismatched input '<EOF>' "
                + "expecting IDENTIFIER\n | object.spec.\n | ............^"],
            kind.Strategy.Validate(o, _rig.Write(kind)).Select(error => error.ToString()));
    }

    [Fact]
    public void The_load_balancers_definitions_are_valid()
    {
        var kind = _rig.Kind(Resources.ExtensionsGroup, "v1", "customresourcedefinitions");
        Assert.All(LoadBalancerDefinitions.All(), definition =>
        {
            kind.Strategy.PrepareForCreate(definition, _rig.Write(kind));
            kind.Strategy.Default(definition);
            Assert.Empty(kind.Strategy.Validate(definition, _rig.Write(kind)));
        });
    }

    public void Dispose() => _rig.Dispose();

    private JsonObject Stored(string plural) => _rig.Objects.Find(Resources.Definitions, "", $"{plural}.lab.test")!.Parse();

    private Task<StoredObject> DefineAsync(string plural, string kind, string shortName) => _rig.PutAsync(Resources.Definitions, """
        {"metadata": {"name": "PLURAL.lab.test"}, "spec": {"group": "lab.test", "scope": "Namespaced",
          "names": {"plural": "PLURAL", "singular": "PLURALx", "kind": "KIND", "listKind": "KINDList", "shortNames": ["SHORT"]},
          "versions": [
            {"name": "v1beta1", "served": true, "storage": false, "deprecated": true, "schema": {"openAPIV3Schema": {"type": "object"}}},
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}
        """.Replace("PLURAL", plural, StringComparison.Ordinal).Replace("KIND", kind, StringComparison.Ordinal).Replace("SHORT", shortName, StringComparison.Ordinal));
}
