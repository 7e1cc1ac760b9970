using System.Text.Json.Nodes;
using Isthmus.Cni.Chain;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Cni;

/// <summary>The files of a node's chain, beside other installers that write them.</summary>
public sealed class ChainDirectoryTests : IDisposable
{
    private const string Entry = """{"type":"istio-cni"}""", List = "{\"name\": \"a\", \"plugins\": [{\"type\": \"bridge\"}]}\n",
        Single = "{\"name\": \"b\", \"type\": \"flannel\"}\n";

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-chain-").FullName;

    private ChainDirectory Chain => new(_directory, "");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void The_file_that_the_runtime_uses_gets_the_entry_and_its_bytes_back()
    {
        Put("20-later.conflist", List);
        Put("10-broken.conflist", "{");
        Put("00-not-ours.txt", List);
        var used = Put("11-net.conflist", List, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.Equal((used, true), Chain.Install(Entry));
        Assert.Equal((used, false), Chain.Install(Entry));
        Assert.Equal(["bridge", "istio-cni"], Plugins("11-net.conflist"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(used));
        Assert.Equal(["00-not-ours.txt", "10-broken.conflist", "11-net.conflist", "20-later.conflist"], Files());

        Assert.Equal([used], Chain.Remove());
        Assert.Equal(List, File.ReadAllText(used));
        Assert.Empty(Chain.Remove());
    }

    [Fact]
    public void A_single_plugin_becomes_a_list_and_a_single_plugin_again()
    {
        var single = Put("10-net.conf", Single, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.Equal((Path.Combine(_directory, "10-net.conflist"), true), Chain.Install(Entry));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_directory, "10-net.conflist")));
        Assert.Equal(["flannel", "istio-cni"], Plugins("10-net.conflist"));
        Assert.Equal(["10-net.conf.before-istio-cni", "10-net.conflist"], Files());
        Assert.False(Chain.Install(Entry)!.Value.Changed);
        Assert.Equal([single], Chain.Remove());
        Assert.Equal(["10-net.conf"], Files());
        Assert.Equal(Single, File.ReadAllText(single));
    }

    [Fact]
    public void A_list_that_somebody_has_changed_since_stays_a_list()
    {
        Put("10-net.conf", Single);
        Chain.Install(Entry);
        Put("10-net.conflist", File.ReadAllText(Path.Combine(_directory, "10-net.conflist")).Replace("flannel", "other", StringComparison.Ordinal));
        Chain.Remove();
        Assert.Equal(["10-net.conflist"], Files());
        Assert.Equal(["other"], Plugins("10-net.conflist"));
    }

    [Fact]
    public void What_another_installer_writes_gets_the_entry_again()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "image"));
        File.WriteAllText(Path.Combine(_directory, "image/plugin"), "v1");
        var bin = Path.Combine(_directory, "bin");
        var keeper = new ChainKeeper(Chain, new(Path.Combine(_directory, "image/plugin"), bin), Entry, TimeProvider.System, NullLogger.Instance);
        keeper.Keep();
        Assert.Equal("the node has no network configuration yet", keeper.Waiting);
        Assert.Equal("v1", File.ReadAllText(Path.Combine(bin, "istio-cni")));

        Put("10-net.conflist", List);
        keeper.Keep();
        Assert.Equal(("", 2), (keeper.Waiting, Plugins("10-net.conflist").Length));
        // Its own new version, and a file that comes first.
        Put("10-net.conflist", List.Replace("bridge", "calico", StringComparison.Ordinal));
        Put("05-net.conf", Single);
        File.Delete(Path.Combine(bin, "istio-cni"));
        keeper.Keep();
        Assert.Equal(["flannel", "istio-cni"], Plugins("05-net.conflist"));
        Assert.True(File.Exists(Path.Combine(bin, "istio-cni")));
        Put("05-net.conf", Single.Replace("flannel", "cilium", StringComparison.Ordinal));
        keeper.Keep();
        Assert.Equal(["cilium", "istio-cni"], Plugins("05-net.conflist"));

        keeper.Remove();
        Assert.Equal(["05-net.conf", "10-net.conflist"], Files());
        Assert.Equal(["calico"], Plugins("10-net.conflist"));
        Assert.False(File.Exists(Path.Combine(bin, "istio-cni")));
    }

    [Fact]
    public void A_file_that_is_named_is_used_whatever_others_there_are()
    {
        Put("00-multus.conf", Single);
        Put("10-net.conflist", List);
        var chain = new ChainDirectory(_directory, "10-net.conf");
        Assert.Equal(Path.Combine(_directory, "10-net.conflist"), chain.Install(Entry)!.Value.File);
        Assert.Null(new ChainDirectory(_directory, "other.conflist").Install(Entry));
        Assert.Null(new ChainDirectory(Path.Combine(_directory, "missing"), "").Install(Entry));
    }

    private string Put(string name, string text, UnixFileMode? mode = null)
    {
        var file = Path.Combine(_directory, name);
        File.WriteAllText(file, text);
        if (mode is { } given) File.SetUnixFileMode(file, given);
        return file;
    }

    private string[] Files() => [.. Directory.GetFiles(_directory).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    private string[] Plugins(string name) =>
        [.. JsonNode.Parse(File.ReadAllText(Path.Combine(_directory, name)))!["plugins"]!.AsArray().Select(plugin => plugin!["type"]!.ToString())];
}
