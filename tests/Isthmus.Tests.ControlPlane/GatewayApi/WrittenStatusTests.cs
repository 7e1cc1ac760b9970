using System.Text.Json.Nodes;
using Isthmus.ControlPlane.GatewayApi;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>How statuses stand in objects.</summary>
public sealed class WrittenStatusTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero);
    private static readonly ObjectRef Route = new("c1", "HTTPRoute", "shop", "web");

    [Fact]
    public void The_time_of_a_condition_changes_with_its_status_only()
    {
        var changes = WrittenStatus.Changes(
            new ListenerSetStatus(new("c1", "ListenerSet", "shop", "more"), 4,
                [new("Accepted", true, "Accepted", "new text"), new("Programmed", false, "Pending", "")], default),
            Object("""
                {conditions: [{type: Accepted, status: "True", reason: Old, message: old, observedGeneration: 3, lastTransitionTime: "2020-01-01T00:00:00Z"},
                  {type: Programmed, status: "True", reason: Programmed, message: "", observedGeneration: 3, lastTransitionTime: "2020-01-01T00:00:00Z"}]}
                """), Now);
        Assert.Equal(
            ["Accepted True Accepted 'new text' 4 2020-01-01T00:00:00Z", "Programmed False Pending '' 4 2026-11-27T12:00:00Z"],
            changes!["conditions"]!.AsArray().Select(Text));
        Assert.Single(changes);
    }

    [Fact]
    public void What_is_so_already_is_not_written()
    {
        ApiStatus status = new RouteStatus(Route, 2, [new(Gateway("front"), [new("Accepted", true, "Accepted", "")])]);
        var found = Object("{}");
        found["status"] = WrittenStatus.Changes(status, found, Now);
        Assert.NotNull(found["status"]);
        Assert.Null(WrittenStatus.Changes(status, (JsonObject)JsonNode.Parse(found.ToJsonString())!, Now.AddHours(1)));
        Assert.Null(WrittenStatus.Changes(new RouteStatus(Route, 2, default), Object("{}"), Now));
        Assert.NotNull(WrittenStatus.Changes(status with { Generation = 3 }, found, Now));
    }

    [Fact]
    public void Entries_of_other_controllers_stay_and_those_of_parents_that_are_gone_leave()
    {
        var changes = WrittenStatus.Changes(
            new RouteStatus(Route, 2,
                [new(Gateway("front"), [new("Accepted", true, "Accepted", "")]), new(Gateway("added") with { Section = "https", Port = 443 }, [])]),
            Object("""
                {parents: [{controllerName: example.com/other, parentRef: {name: front}, conditions: [{type: Accepted, status: "True"}]},
                  {controllerName: istio.io/gateway-controller, parentRef: {name: gone}, conditions: []},
                  {controllerName: istio.io/gateway-controller, parentRef: {name: front}, conditions: [
                    {type: Accepted, status: "True", lastTransitionTime: "2020-01-01T00:00:00Z"}, {type: PartiallyInvalid,
                      status: "True"}, {type: example.com/Checked, status: "True"}]}]}
                """), Now)!;
        var parents = changes["parents"]!.AsArray();
        Assert.Equal(
            ["example.com/other {\"name\":\"front\"}", "istio.io/gateway-controller {\"name\":\"front\"}",
                "istio.io/gateway-controller {\"name\":\"added\",\"port\":443,\"sectionName\":\"https\"}"],
            parents.Select(parent => $"{parent!["controllerName"]} {parent["parentRef"]!.ToJsonString()}"));
        // A condition of ours that no longer applies goes, others are left alone.
        Assert.Equal(["Accepted", "example.com/Checked"], parents[1]!["conditions"]!.AsArray().Select(condition => (string)condition!["type"]!));
        Assert.Equal("2020-01-01T00:00:00Z", (string?)parents[1]!["conditions"]![0]!["lastTransitionTime"]);
    }

    [Fact]
    public void A_reference_is_repeated_as_it_was_written()
    {
        var to = new ApiReference("gateway.networking.k8s.io", "Gateway", "shop", "front") { Written = ReferenceFields.Kind | ReferenceFields.Namespace };
        var entry = WrittenStatus.Changes(new PolicyStatus(Route, 1, [new(to, [])]), Object("{}"), Now)!["ancestors"]![0]!;
        Assert.Equal("{\"kind\":\"Gateway\",\"name\":\"front\",\"namespace\":\"shop\"}", entry["ancestorRef"]!.ToJsonString());
    }

    [Fact]
    public void Entries_of_others_have_their_place_when_there_are_too_many()
    {
        var others = string.Join(",", Enumerable.Range(0, 15).Select(i => $"{{controllerName: example.com/c{i}, ancestorRef: {{name: a}}, conditions: []}}"));
        var ours = Enumerable.Range(0, 5).Select(i => new ParentStatus(Gateway($"g{i}"), [])).ToArray();
        var entries = WrittenStatus.Changes(new PolicyStatus(Route, 1, [.. ours]), Object($"{{ancestors: [{others}]}}"), Now)!["ancestors"]!.AsArray();
        Assert.Equal(16, entries.Count);
        Assert.Equal("g0", (string?)entries[15]!["ancestorRef"]!["name"]);
    }

    [Fact]
    public void Listeners_keep_the_times_of_their_conditions_by_name()
    {
        var status = new GatewayStatus(
            new("c1", "Gateway", "shop", "front"), 1, [],
            [new("b", 0, [new("gateway.networking.k8s.io", "HTTPRoute")], 7, [new("Accepted", true, "Accepted", "")])], [new("IPAddress", "192.0.2.1")], 0);
        var changes = WrittenStatus.Changes(status, Object("""
            {listeners: [{name: a, attachedRoutes: 1, conditions: []},
              {name: b, attachedRoutes: 1, conditions: [{type: Accepted, status: "True", lastTransitionTime: "2020-01-01T00:00:00Z"}]}]}
            """), Now)!;
        Assert.Equal(
            """[{"attachedRoutes":7,"name":"b","conditions":[{"lastTransitionTime":"2020-01-01T00:00:00Z","message":"","observedGeneration":1"""
                + ""","reason":"Accepted","status":"True","type":"Accepted"}],"supportedKinds":[{"group":"gateway.networking.k8s.io","kind":"HTTPRoute"}]}]""",
            changes["listeners"]!.ToJsonString());
        Assert.Equal("""[{"routability":"","type":"IPAddress","value":"192.0.2.1"}]""", changes["addresses"]!.ToJsonString());
        Assert.False(changes.ContainsKey("attachedListenerSets"));
    }

    [Fact]
    public void Features_are_sorted() =>
        Assert.Equal(["A", "B"],
            WrittenStatus.Changes(new SupportStatus(Route, 1, default, ["B", "A"]), Object("{}"), Now)!["supportedFeatures"]!.AsArray()
                .Select(feature => (string)feature!["name"]!));

    private static ApiReference Gateway(string name) => new("gateway.networking.k8s.io", "Gateway", "shop", name);

    private static JsonObject Object(string status) =>
        new() { ["metadata"] = new JsonObject { ["generation"] = 2 }, ["status"] = YamlText.Parse(status, "status") };

    private static string Text(JsonNode? condition) =>
        $"{condition!["type"]} {condition["status"]} {condition["reason"]} '{condition["message"]}' {condition["observedGeneration"]} "
            + $"{condition["lastTransitionTime"]}";
}
