using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Admission.Policies;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Admission;

/// <summary>ValidatingAdmissionPolicies have effect where a binding says so.</summary>
public sealed class PolicyAdmissionTests : IDisposable
{
    private const string OfConfigMaps =
        """ "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}] """;

    private readonly StoreRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task A_request_against_a_bound_policy_is_denied_with_its_message()
    {
        await PolicyAsync(
            """ "validations": [{"expression": "!has(object.data) || !has(object.data.bad)", "message": "bad is bad", "reason": "Forbidden"}] """);
        await JudgeAsync("""{"metadata": {"name": "x", "namespace": "n"}, "data": {"bad": "1"}}"""); // not bound yet
        await BindAsync(""" "validationActions": ["Deny"] """);
        var refusal = await Assert.ThrowsAsync<ApiException>(() => JudgeAsync("""{"metadata": {"name": "x", "namespace": "n"}, "data": {"bad": "1"}}"""));
        Assert.Equal("configmaps \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: bad is bad", refusal.Message);
        Assert.Equal((403, "Forbidden"), (refusal.Code, refusal.Reason));
        Assert.Empty(await JudgeAsync("""{"metadata": {"name": "x", "namespace": "n"}, "data": {"good": "1"}}"""));
    }

    [Theory]
    [InlineData("", 422)]
    [InlineData("Unauthorized", 401)]
    [InlineData("RequestEntityTooLarge", 413)]
    public async Task The_reason_decides_the_code(string reason, int code)
    {
        await PolicyAsync($$""" "validations": [{"expression": "false", "reason": "{{reason}}"}] """);
        await BindAsync(""" "validationActions": ["Deny"] """);
        var refusal = await Assert.ThrowsAsync<ApiException>(() => JudgeAsync("""{"metadata": {"name": "x"}}"""));
        Assert.Equal(code, refusal.Code);
        Assert.EndsWith("denied request: failed expression: false", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Warnings_are_told_and_nothing_is_denied()
    {
        await PolicyAsync(""" "validations": [{"expression": "false", "messageExpression": "'no ' + object.metadata.name"}, {"expression": "true"}] """);
        await BindAsync(""" "validationActions": ["Warn", "Audit"] """);
        Assert.Equal(["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no x"], await JudgeAsync("""{"metadata": {"name": "x"}}"""));
    }

    [Fact]
    public async Task Variables_are_evaluated_when_they_are_used_and_see_each_other()
    {
        await PolicyAsync("""
            "variables": [{"name": "label", "expression": "object.metadata.labels.team"}, {"name": "known", "expression": "variables.label in ['a', 'b']"},
             {"name": "loop", "expression": "variables.loop"}],
            "validations": [{"expression": "variables.known"}]
            """);
        await BindAsync(""" "validationActions": ["Warn"] """);
        Assert.Empty(await JudgeAsync("""{"metadata": {"name": "x", "labels": {"team": "a"}}}"""));
        Assert.Single(await JudgeAsync("""{"metadata": {"name": "x", "labels": {"team": "c"}}}"""));
        Assert.Contains("no such key: labels", Assert.Single(await JudgeAsync("""{"metadata": {"name": "x"}}""")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("variables.self", "refers to itself")]
    [InlineData("authorizer.group('').resource('pods').check('list').allowed()", "not supported by this server")]
    [InlineData("object.nosuch == 1", "no such key: nosuch")]
    [InlineData("object.metadata.name", "no such overload")]
    public async Task What_cannot_be_decided_follows_the_failure_policy(string expression, string why)
    {
        var rest =
            $$"""
                "variables": [{"name": "self", "expression": "variables.self"}],
                  "validations": [{"expression": {{JsonValue.Create(expression).ToJsonString()}}}]
                """;
        await PolicyAsync(rest);
        await BindAsync(""" "validationActions": ["Deny"] """);
        var refusal = await Assert.ThrowsAsync<ApiException>(() => JudgeAsync("""{"metadata": {"name": "x"}}"""));
        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
        await _rig.DeleteAsync(Resources.AdmissionPolicies, "", "p");
        await PolicyAsync(rest + """, "failurePolicy": "Ignore" """);
        await JudgeAsync("""{"metadata": {"name": "x"}}""");
    }

    [Fact]
    public async Task Conditions_namespaces_objects_and_names_limit_what_is_judged()
    {
        await _rig.PutAsync(Resources.Namespaces, """{"metadata": {"name": "n", "labels": {"judged": "yes"}}}""");
        await _rig.PutAsync(Resources.Namespaces, """{"metadata": {"name": "free"}}""");
        await PolicyAsync(
            """
            "matchConditions": [{"name": "not-mine", "expression": "request.userInfo.username != 'nobody' && object.metadata.name != 'skipped'"}],
            "validations": [{"expression": "namespaceObject.metadata.name != 'n'"}]
            """);
        await BindAsync(
            """
            "validationActions": ["Warn"], "matchResources": {"namespaceSelector": {"matchLabels": {"judged": "yes"}},
             "objectSelector": {"matchLabels": {"a": "b"}},
             "excludeResourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "resourceNames": ["spared"]}]}
            """);
        Assert.Single(await JudgeAsync("""{"metadata": {"name": "x", "labels": {"a": "b"}}}"""));
        Assert.Empty(await JudgeAsync("""{"metadata": {"name": "x", "labels": {"a": "c"}}}"""));
        Assert.Empty(await JudgeAsync("""{"metadata": {"name": "skipped", "labels": {"a": "b"}}}"""));
        Assert.Empty(await JudgeAsync("""{"metadata": {"name": "spared", "labels": {"a": "b"}}}"""));
        Assert.Empty(await JudgeAsync("""{"metadata": {"name": "x", "labels": {"a": "b"}}}""", ns: "free"));
        Assert.Empty(await JudgeAsync("""{"metadata": {"name": "x", "labels": {"a": "b"}}}""", operation: "DELETE"));
    }

    [Fact]
    public async Task Parameters_come_from_the_object_that_the_binding_names()
    {
        await PolicyAsync(
            """
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "validations": [{"expression": "object.metadata.name.size() <= int(params.data.most)"}]
                """);
        await BindAsync(""" "validationActions": ["Warn"], "paramRef": {"name": "limits", "namespace": "system", "parameterNotFoundAction": "Deny"} """);
        Assert.Contains("no params found", Assert.Single(await JudgeAsync("""{"metadata": {"name": "long-name"}}""")), StringComparison.Ordinal);
        await _rig.PutAsync(new("", "configmaps"), """{"metadata": {"name": "limits", "namespace": "system"}, "data": {"most": "5"}}""");
        Assert.Single(await JudgeAsync("""{"metadata": {"name": "long-name"}}"""));
        Assert.Empty(await JudgeAsync("""{"metadata": {"name": "short"}}"""));
    }

    /// <summary>What the policy of the Gateway API's definitions says: no older version, and no experimental channel over the standard one.</summary>
    [Fact]
    public async Task Definitions_are_kept_from_going_back()
    {
        const string Channel = "oldObject == null || object.metadata.annotations['channel'] == 'standard' "
            + "|| (has(oldObject.metadata.annotations) && oldObject.metadata.annotations['channel'] == 'experimental')";
        await _rig.PutAsync(Resources.AdmissionPolicies, $$$"""
            {"metadata": {"name": "p"}, "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": ["apiextensions.k8s.io"], "apiVersions": ["v1"],
                 "operations": ["CREATE", "UPDATE"], "resources": ["*"]}]},
              "validations": [
                {"expression": "{{{Channel}}}"},
                {"expression": "has(object.metadata.annotations) && object.metadata.annotations.exists(k, k == 'version') && !matches(object.metadata.annotations['version'], 'v1.[0-5].\\\\d+')"}]}}
            """);
        await BindAsync(
            """
            "validationActions": ["Deny"], "matchResources": {"resourceRules": [{"apiGroups": ["apiextensions.k8s.io"], "apiVersions": ["v1"],
               "operations": ["CREATE", "UPDATE"], "resources": ["customresourcedefinitions"]}]}
            """);
        await DefineAsync("v1.6.1", "standard", null);
        await DefineAsync("v1.6.2", "standard", "standard");
        await DefineAsync("v1.6.2", "standard", "experimental");
        await Assert.ThrowsAsync<ApiException>(() => DefineAsync("v1.4.0", "standard", "standard"));
        await Assert.ThrowsAsync<ApiException>(() => DefineAsync("v1.6.1", "experimental", "standard"));
    }

    private async Task DefineAsync(string version, string channel, string? before)
    {
        var request = _rig.Request(_rig.Kind(Resources.ExtensionsGroup, "v1", "customresourcedefinitions"), before is null ? "CREATE" : "UPDATE",
            Definition(version, channel));
        var judged = new AdmissionRequest
        {
            Attributes = request.Attributes, Kind = request.Kind, Operation = request.Operation, Object = request.Object, Options = [],
            OldObject = before is null ? null : Definition("v1.6.0", before),
        };
        await Admission().ValidateAsync(judged, TestContext.Current.CancellationToken);
    }

    private static JsonObject Definition(string version, string channel) =>
        new()
        {
            ["metadata"] = new JsonObject { ["name"] = "x.example.test", ["annotations"] = new JsonObject { ["version"] = version, ["channel"] = channel } }
        };

    private Task PolicyAsync(string rest) =>
        _rig.PutAsync(Resources.AdmissionPolicies, $$$"""{"metadata": {"name": "p"}, "spec": {"matchConstraints": { {{{OfConfigMaps}}} }, {{{rest}}} }}""");

    private Task BindAsync(string rest) =>
        _rig.PutAsync(Resources.AdmissionPolicyBindings, $$$"""{"metadata": {"name": "b"}, "spec": {"policyName": "p", {{{rest}}} }}""");

    private PolicyAdmission Admission() => new(_rig.Objects, _rig.Context.Kinds);

    /// <returns>The warnings.</returns>
    private async Task<IReadOnlyList<string>> JudgeAsync(string o, string ns = "n", string operation = "CREATE")
    {
        var request = _rig.Request(_rig.Kind("", "v1", "configmaps"), operation, (JsonObject)JsonNode.Parse(o)!, ns: ns);
        await Admission().ValidateAsync(request, TestContext.Current.CancellationToken);
        return request.Warnings;
    }
}
