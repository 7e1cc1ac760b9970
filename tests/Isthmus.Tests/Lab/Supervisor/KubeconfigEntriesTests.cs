using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Problems;
using Isthmus.Lab.Supervisor;
using Xunit;

namespace Isthmus.Tests.Lab.Supervisor;

public sealed class KubeconfigEntriesTests
{
    [Fact]
    public void Adding_clusters_and_removing_them_leaves_what_was_there()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<(byte[] Others, byte[] Ours, bool Current)>(), given =>
        {
            var config = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Config", ["clusters"] = new JsonArray(), ["contexts"] = new JsonArray(), ["users"] = new JsonArray(), ["current-context"] = "", ["x-extra"] = 1 };
            foreach (var other in (given.Others ?? []).Distinct()) KubeconfigEntries.Add(config, Entry($"other{other}", "https://example.org", "theirs"), false, _ => false, "test");
            var before = config.DeepClone();
            var names = (given.Ours ?? []).Distinct().Select(our => $"cluster{our}").ToList();
            foreach (var name in names) KubeconfigEntries.Add(config, Entry(name, "https://172.18.0.2:6443", "ours"), given.Current, _ => true, "test");
            Assert.Equal(names, ((JsonArray)config["contexts"]!).Select(context => (string)context!["name"]!).Where(name => name.StartsWith("cluster", StringComparison.Ordinal)));
            Assert.Equal(names.Count > 0, KubeconfigEntries.Remove(config, IsOurs));
            if (given.Current || (string?)before["current-context"] == "") config["current-context"] = before["current-context"]!.DeepClone();
            Assert.True(JsonNode.DeepEquals(before, config));
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_context_that_was_renamed_is_removed_with_its_cluster()
    {
        var config = new JsonObject();
        KubeconfigEntries.Add(config, Entry("kind-cluster1", "https://172.18.0.2:6443", "ours"), true, _ => true, "test");
        ((JsonArray)config["contexts"]!)[0]!["name"] = "cluster1";
        config["current-context"] = "cluster1";
        Assert.True(KubeconfigEntries.Remove(config, IsOurs));
        Assert.True(KubeconfigEntries.IsEmpty(config));
        Assert.Equal("", (string?)config["current-context"]);
    }

    [Fact]
    public void A_user_that_another_context_uses_stays()
    {
        var config = new JsonObject();
        KubeconfigEntries.Add(config, Entry("cluster1", "https://172.18.0.2:6443", "ours"), true, _ => true, "test");
        KubeconfigEntries.Add(config, Entry("other", "https://example.org", "theirs"), false, _ => true, "test");
        ((JsonArray)config["contexts"]!)[1]!["context"]!["user"] = "cluster1";
        KubeconfigEntries.Remove(config, IsOurs);
        Assert.Contains(((JsonArray)config["users"]!).Select(user => (string)user!["name"]!), name => name == "cluster1");
    }

    [Fact]
    public void Somebody_elses_cluster_of_the_same_name_is_never_overwritten()
    {
        var config = new JsonObject();
        KubeconfigEntries.Add(config, Entry("cluster1", "https://prod.example.org", "theirs"), true, _ => true, "test");
        var before = config.DeepClone();
        var refused = Assert.Throws<ProblemException>(() => KubeconfigEntries.Add(config, Entry("cluster1", "https://172.18.0.2:6443", "ours"), true, _ => false, "~/.kube/config"));
        Assert.Contains("https://prod.example.org", refused.Message);
        Assert.True(JsonNode.DeepEquals(before, config));
    }

    private static bool IsOurs(JsonObject cluster) => (string?)cluster["certificate-authority-data"] == "ours";

    private static JsonObject Entry(string name, string server, string authority) => new()
    {
        ["current-context"] = name,
        ["clusters"] = new JsonArray(new JsonObject { ["name"] = name, ["cluster"] = new JsonObject { ["server"] = server, ["certificate-authority-data"] = authority } }),
        ["contexts"] = new JsonArray(new JsonObject { ["name"] = name, ["context"] = new JsonObject { ["cluster"] = name, ["user"] = name } }),
        ["users"] = new JsonArray(new JsonObject { ["name"] = name, ["user"] = new JsonObject() }),
    };
}
