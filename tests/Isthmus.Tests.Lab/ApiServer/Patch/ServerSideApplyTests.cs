using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Kinds;
using Isthmus.Lab.ApiServer.Patch;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Patch;

public class ServerSideApplyTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch;

    private static readonly Dictionary<string, KindDescriptor> Kinds = BuiltInKinds.Create((_, _) => null).DistinctBy(kind => kind.Kind)
        .ToDictionary(kind => kind.Kind);

    [Fact]
    public void What_its_manager_no_longer_applies_goes_unless_somebody_else_owns_it()
    {
        var o = Apply(null, "m1", """{"metadata":{"name":"c"},"data":{"a":"1","b":"2"}}""");
        o = Apply(o, "m2", """{"metadata":{"name":"c"},"data":{"b":"2","c":"3"}}""");
        o = Apply(o, "m1", """{"metadata":{"name":"c"},"data":{"a":"1"}}""");
        Assert.Equal("""{"a":"1","b":"2","c":"3"}""", o["data"]!.ToJsonString());
        o = Apply(o, "m2", """{"metadata":{"name":"c"},"data":{"c":"3"}}""");
        Assert.Equal("""{"a":"1","c":"3"}""", o["data"]!.ToJsonString());
    }

    [Fact]
    public void Another_value_of_somebody_elses_field_is_a_conflict_that_force_wins()
    {
        var o = Apply(null, "m1", """{"metadata":{"name":"c"},"data":{"a":"1"}}""");
        var e = Assert.Throws<ApiException>(() => Apply(o, "m2", """{"metadata":{"name":"c"},"data":{"a":"2"}}"""));
        Assert.Equal((409, "Apply failed with 1 conflict: conflict with \"m1\": .data.a"), (e.Code, e.Message));
        o = Apply(o, "m2", """{"metadata":{"name":"c"},"data":{"a":"2"}}""", force: true);
        Assert.Equal(["m2"], FieldManager.ReadAll(o["metadata"]!["managedFields"]).Select(manager => manager.Name));
    }

    [Fact]
    public void Lists_merge_by_all_their_keys()
    {
        var o = Apply(null, "m1", """{"metadata":{"name":"s"},"spec":{"ports":[{"port":53,"protocol":"UDP","name":"dns"},{"port":80,"name":"http"}]}}""",
            "Service");
        o = Apply(o, "m2", """{"metadata":{"name":"s"},"spec":{"ports":[{"port":53,"protocol":"TCP","name":"dns-tcp"}]}}""", "Service");
        Assert.Equal(["dns", "http", "dns-tcp"], Names(o));
        o = Apply(o, "m1", """{"metadata":{"name":"s"},"spec":{"ports":[{"port":80,"name":"http"}]}}""", "Service");
        Assert.Equal(["http", "dns-tcp"], Names(o));

        static IEnumerable<string?> Names(JsonObject o) => ((JsonArray)o["spec"]!["ports"]!).Select(port => (string?)port!["name"]);
    }

    [Theory]
    [InlineData("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"nope":1}""", 500, ".nope: field not declared in schema")]
    [InlineData("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","managedFields":[]}}""", 400, "metadata.managedFields must be nil")]
    [InlineData("""{"metadata":{"name":"c"}}""", 400, "invalid object type: /, Kind=")]
    [InlineData("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"other"}}""", 400, "does not match the name on the URL")]
    [InlineData("- 1", 400, "not an object")]
    public void A_wrong_configuration_is_refused(string body, int code, string says)
    {
        var e = Assert.Throws<ApiException>(() => ServerSideApply.Decode(Encoding.UTF8.GetBytes(body), Kinds["ConfigMap"], "c", "n"));
        Assert.Equal(code, e.Code);
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_update_takes_the_fields_it_changes()
    {
        var o = Apply(null, "m1", """{"metadata":{"name":"c"},"data":{"a":"1","b":"1"}}""");
        var next = (JsonObject)o.DeepClone();
        next["data"]!["a"] = "2";
        ManagedFields.Update(o, next, Request("editor", "ConfigMap", isApply: false), Now);
        var managers = FieldManager.ReadAll(next["metadata"]!["managedFields"])
            .ToDictionary(manager => manager.Name, manager => manager.Fields.ToJson().ToJsonString());
        Assert.Equal("""{"f:data":{"f:b":{}}}""", managers["m1"]);
        Assert.Equal("""{"f:data":{"f:a":{}}}""", managers["editor"]);
    }

    [Fact]
    public void Managers_who_agree_never_conflict_and_the_last_one_to_leave_takes_the_field_along()
    {
        var keys = Gen.Elements("a", "b", "c", "d");
        var step = from manager in Gen.Elements("m1", "m2", "m3") from set in Gen.ListOf(keys) select (manager, set.Distinct().ToList());
        Prop.ForAll(Gen.ListOf(step).ToArbitrary(), steps =>
        {
            JsonObject? o = null;
            var applied = new Dictionary<string, List<string>>();
            foreach (var (manager, set) in steps)
            {
                applied[manager] = set;
                var data = string.Join(",", set.Select(key => $"\"{key}\":\"same\""));
                o = Apply(o, manager, $$$"""{"metadata":{"name":"c"},"data":{ {{{data}}} } }""");
            }
            var expected = applied.Values.SelectMany(set => set).Distinct().Order(StringComparer.Ordinal);
            return o is null || ((o["data"] as JsonObject)?.Select(pair => pair.Key) ?? []).Order(StringComparer.Ordinal).SequenceEqual(expected);
        }).MustHold(200);
    }

    private static JsonObject Apply(JsonObject? current, string manager, string configuration, string kind = "ConfigMap", bool force = false)
    {
        var body = (JsonObject)JsonNode.Parse(configuration)!;
        (body["apiVersion"], body["kind"]) = ("v1", kind);
        var applied = ServerSideApply.Decode(JsonText.ToBytes(body), Kinds[kind], (string)body["metadata"]!["name"]!, "n");
        return ServerSideApply.Merge(current, applied, Kinds[kind], Request(manager, kind, isApply: true), force, Now);
    }

    private static WriteRequest Request(string manager, string kind, bool isApply) => new()
    {
        Attributes = new(UserIdentity.Anonymous, "patch", "", "v1", Kinds[kind].Plural, "", "n", "c", "", true),
        Kind = Kinds[kind],
        Manager = manager,
        Options = [],
        IsApply = isApply,
    };
}
