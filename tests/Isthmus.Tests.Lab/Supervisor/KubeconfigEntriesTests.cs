using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Problems;
using Isthmus.Lab.Supervisor;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Supervisor;

public sealed class KubeconfigEntriesTests
{
    [Fact]
    public void Adding_clusters_and_removing_them_leaves_what_was_there()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<(byte[] Others, byte[] Ours, bool Current)>(), given =>
        {
            var config = new JsonObject
            {
                ["apiVersion"] = "v1", ["kind"] = "Config", ["clusters"] = new JsonArray(), ["contexts"] = new JsonArray(), ["users"] = new JsonArray(),
                ["current-context"] = "", ["x-extra"] = 1
            };
            foreach (var other in (given.Others ?? []).Distinct())
                KubeconfigEntries.Add(config, Entry($"other{other}", "https://example.org", "theirs"), false, _ => false, "test");
            var before = config.DeepClone();
            var names = (given.Ours ?? []).Distinct().Select(our => $"cluster{our}").ToList();
            foreach (var name in names) KubeconfigEntries.Add(config, Entry(name, "https://172.18.0.2:6443", "ours"), given.Current, _ => true, "test");
            Assert.Equal(names,
                ((JsonArray)config["contexts"]!).Select(context => (string)context!["name"]!)
                    .Where(name => name.StartsWith("cluster", StringComparison.Ordinal)));
            Assert.Equal(names.Count > 0, KubeconfigEntries.Remove(config, IsOurs, IsOurs));
            Assert.True(JsonNode.DeepEquals(before, config));
        }).MustHold();
    }

    [Fact]
    public void A_context_that_was_renamed_is_removed_with_its_cluster()
    {
        var config = new JsonObject();
        KubeconfigEntries.Add(config, Entry("kind-cluster1", "https://172.18.0.2:6443", "ours"), true, _ => true, "test");
        ((JsonArray)config["contexts"]!)[0]!["name"] = "cluster1";
        config["current-context"] = "cluster1";
        Assert.True(KubeconfigEntries.Remove(config, IsOurs, IsOurs));
        Assert.True(KubeconfigEntries.IsEmpty(config));
        Assert.Equal("", (string?)config["current-context"]);
    }

    [Fact]
    public void The_context_before_is_current_again_when_the_one_that_took_its_place_goes()
    {
        var config = new JsonObject();
        KubeconfigEntries.Add(config, Entry("other", "https://example.org", "theirs"), true, _ => true, "test");
        foreach (var name in (string[])["cluster1", "cluster2", "cluster3"])
            KubeconfigEntries.Add(config, Entry(name, $"https://{name}", "ours"), name != "cluster2", _ => true, "test");
        // Again, as when you start a lab that already runs.
        KubeconfigEntries.Add(config, Entry("cluster3", "https://cluster3", "ours"), true, _ => true, "test");
        Assert.Equal("cluster3", Without("https://cluster2"));
        Assert.Equal("cluster1", Without("https://cluster3"));
        Assert.Equal("other", Without("https://cluster1"));

        string? Without(string server)
        {
            KubeconfigEntries.Remove(config, cluster => (string?)cluster["server"] == server, IsOurs);
            return (string?)config["current-context"];
        }
    }

    [Fact]
    public void Where_the_context_before_is_gone_too_another_one_of_the_lab_is_current_and_never_somebody_elses()
    {
        var config = new JsonObject();
        foreach (var name in (string[])["cluster1", "cluster2", "cluster3"])
            KubeconfigEntries.Add(config, Entry(name, $"https://{name}", "ours"), name != "cluster2", _ => true, "test");
        KubeconfigEntries.Add(config, Entry("other", "https://example.org", "theirs"), false, _ => true, "test");
        KubeconfigEntries.Remove(config, cluster => (string?)cluster["server"] == "https://cluster1", IsOurs);
        KubeconfigEntries.Remove(config, cluster => (string?)cluster["server"] == "https://cluster3", IsOurs);
        Assert.Equal("cluster2", (string?)config["current-context"]);
        KubeconfigEntries.Remove(config, IsOurs, IsOurs);
        Assert.Equal("", (string?)config["current-context"]);
    }

    [Fact]
    public void A_user_that_another_context_uses_stays()
    {
        var config = new JsonObject();
        KubeconfigEntries.Add(config, Entry("cluster1", "https://172.18.0.2:6443", "ours"), true, _ => true, "test");
        KubeconfigEntries.Add(config, Entry("other", "https://example.org", "theirs"), false, _ => true, "test");
        ((JsonArray)config["contexts"]!)[1]!["context"]!["user"] = "cluster1";
        KubeconfigEntries.Remove(config, IsOurs, IsOurs);
        Assert.Contains(((JsonArray)config["users"]!).Select(user => (string)user!["name"]!), name => name == "cluster1");
    }

    [Fact]
    public void Somebody_elses_cluster_of_the_same_name_is_never_overwritten()
    {
        var config = new JsonObject();
        KubeconfigEntries.Add(config, Entry("cluster1", "https://prod.example.org", "theirs"), true, _ => true, "test");
        var before = config.DeepClone();
        var refused = Assert.Throws<ProblemException>(() => KubeconfigEntries.Add(config, Entry("cluster1", "https://172.18.0.2:6443", "ours"), true,
            _ => false, "~/.kube/config"));
        Assert.Contains("https://prod.example.org", refused.Message);
        Assert.True(JsonNode.DeepEquals(before, config));
    }

    private static bool IsOurs(JsonObject cluster) => (string?)cluster["certificate-authority-data"] == "ours";

    private static JsonObject Entry(string name, string server, string authority) => new()
    {
        ["current-context"] = name,
        ["clusters"] = new JsonArray(new JsonObject
        {
            ["name"] = name, ["cluster"] = new JsonObject { ["server"] = server, ["certificate-authority-data"] = authority }
        }),
        ["contexts"] = new JsonArray(new JsonObject { ["name"] = name, ["context"] = new JsonObject { ["cluster"] = name, ["user"] = name } }),
        ["users"] = new JsonArray(new JsonObject { ["name"] = name, ["user"] = new JsonObject() }),
    };
}
