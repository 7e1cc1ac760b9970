using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Debug;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Clusters;

/// <summary>Kubeconfigs of remote clusters in a folder.</summary>
public sealed class KubeconfigFolderTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("isthmus-kubeconfigs");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void A_file_is_a_cluster_with_the_name_that_its_current_context_has()
    {
        Write("a.yaml",
            Config("current-context: two\ncontexts: [{name: one, context: {cluster: east}}, {name: two, context: {cluster: west, user: u}}]", "east", "west"));
        Write("notes.txt", "not read");
        var (path, file) = Assert.Single(Folder().Changes());
        Assert.Equal((At("a.yaml"), "west", At("a.yaml"), "https://west.example/"),
            (path, file!.Cluster!.Id, file.Cluster.Secret, file.Cluster.Access.Server.ToString()));
    }

    [Theory]
    [InlineData("contexts: [{name: b, context: {cluster: second}}, {name: a, context: {cluster: first}}]", "first")]
    [InlineData("contexts: [{name: a, context: {}}]", "first")]
    public void Without_a_current_context_the_first_name_counts_and_the_file_says_that_it_cannot_be_used(string contexts, string name)
    {
        Write("a.yml", Config(contexts, "second", "first"));
        var file = Assert.Single(Folder().Changes()).File!;
        Assert.Equal((null, name), (file.Cluster, file.Id));
        Assert.Contains("current-context", file.Problem!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Only_what_changed_is_read_again_and_a_file_that_breaks_keeps_its_name()
    {
        var folder = Folder();
        Assert.Empty(folder.Changes());
        Write("a.yaml", Good("west"));
        Write("b.yaml", Good("east"));
        Assert.Equal(["west", "east"], folder.Changes().Select(change => change.File!.Id));
        Assert.Empty(folder.Changes());
        Write("a.yaml", "users: [");
        var (_, broken) = Assert.Single(folder.Changes());
        Assert.Equal((null, "west", "ISM0301"), (broken!.Cluster, broken.Id, broken.Problem!.Code));
        File.Delete(At("b.yaml"));
        Assert.Equal((At("b.yaml"), null), Assert.Single(folder.Changes()));
    }

    [Theory]
    [InlineData("tokenFile: /var/run/token")]
    [InlineData("exec: {command: sh}")]
    public void A_file_that_names_files_or_programs_is_refused_as_a_Secret_is(string user)
    {
        Write("a.yaml",
            Config($"current-context: c\ncontexts: [{{name: c, context: {{cluster: west, user: u}}}}]\nusers: [{{name: u, user: {{{user}}}}}]", "west"));
        Assert.Contains("is rejected", Assert.Single(Folder().Changes()).File!.Problem!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_own_cluster_is_known_already_and_a_large_file_is_no_kubeconfig()
    {
        Write("own.yaml", Good("own"));
        Write("large.yaml", new string('#', 1024 * 1024 + 1));
        var files = Folder().Changes().Select(change => change.File!).ToList();
        Assert.All(files, file => Assert.Null(file.Cluster));
        Assert.Equal(["file " + At("large.yaml")], files.Where(file => file.Problem is not null).Select(file => file.Problem!.Object));
    }

    [Fact]
    public void A_folder_that_is_missing_is_an_error() => Assert.ThrowsAny<IOException>(() => new KubeconfigFolder(At("nowhere"), "own").Changes());

    [Fact]
    public void Each_cluster_has_one_series_for_each_status()
    {
        ClusterStatus[] lines = [ClusterStatus.Invalid("east", "ns/a", "broken"), ClusterStatus.Invalid("east", "ns/b", "broken"),
            ClusterStatus.Invalid("west", "/w.yaml", "broken") with { Status = "synced" }];
        var series = MetricsPage.SyncStates(lines).ToDictionary(item => item.Labels, item => item.Value);
        Assert.Equal(8, series.Count);
        Assert.Equal(
            ["cluster=\"east\",cluster_type=\"remote\",status=\"invalid\"", "cluster=\"west\",cluster_type=\"remote\",status=\"synced\""],
            series.Where(item => item.Value == 1).Select(item => item.Key).Order(StringComparer.Ordinal));
    }

    private KubeconfigFolder Folder() => new(_folder.FullName, "own");

    private string At(string name) => Path.Combine(_folder.FullName, name);

    private void Write(string name, string text) => File.WriteAllText(At(name), text);

    private static string Good(string cluster) =>
        Config($"current-context: c\ncontexts: [{{name: c, context: {{cluster: {cluster}, user: u}}}}]\nusers: [{{name: u, user: {{token: t}}}}]", cluster);

    private static string Config(string rest, params string[] clusters) =>
        $"{rest}\nclusters: [{string.Join(", ", clusters.Select(cluster => $"{{name: {cluster}, cluster: {{server: 'https://{cluster}.example'}}}}"))}]\n";
}
