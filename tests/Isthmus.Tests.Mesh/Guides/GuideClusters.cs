using System.Diagnostics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>An object of a cluster: the context, and what <c>kubectl get -o name</c> prints.</summary>
internal sealed record ClusterObject(string Context, string Name);

/// <summary>
/// Clusters that a guide runs on instead of a lab of its own: those of a user (<c>./test --contexts</c>), which get the names of the
/// guides in a kubeconfig of the test, or a lab that several guides share. Afterwards they must have no object that they did not have
/// before.
/// </summary>
internal sealed partial class GuideClusters
{
    // A namespace's objects go with it.
    private const string Kinds =
        "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,validatingadmissionpolicies";
    private const string LabRemoved = "The lab is removed.";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _kubeconfig;
    private readonly IReadOnlyList<string> _contexts;
    private readonly Dictionary<string, string> _kinds = new(StringComparer.Ordinal);
    private IReadOnlySet<ClusterObject> _before = new HashSet<ClusterObject>();

    private GuideClusters(string kubeconfig, IReadOnlyList<string> contexts)
    {
        _kubeconfig = kubeconfig;
        _contexts = contexts;
    }

    /// <param name="contexts">Contexts of the user's kubeconfig, separated by commas: cluster1, cluster2.</param>
    /// <param name="kubeconfig">The file to write.</param>
    internal static async Task<GuideClusters> ConnectAsync(string contexts, string kubeconfig)
    {
        var names = contexts.Split(',');
        var (clusters, users, entries) = (new JsonArray(), new JsonArray(), new JsonArray());
        for (var i = 0; i < names.Length; i++)
        {
            var name = $"cluster{i + 1}";
            var view = JsonNode.Parse(await KubectlAsync(null, "config", "view", "--raw", "--flatten", "--minify", "--context", names[i], "-o", "json"))!;
            clusters.Add((JsonNode)new JsonObject { ["name"] = name, ["cluster"] = view["clusters"]![0]!["cluster"]!.DeepClone() });
            users.Add((JsonNode)new JsonObject { ["name"] = name, ["user"] = view["users"]![0]!["user"]!.DeepClone() });
            entries.Add((JsonNode)new JsonObject { ["name"] = name, ["context"] = new JsonObject { ["cluster"] = name, ["user"] = name } });
        }
        var config = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Config", ["clusters"] = clusters, ["users"] = users, ["contexts"] = entries, ["current-context"] = "cluster1",
        };
        await File.WriteAllTextAsync(kubeconfig, config.ToJsonString());
        File.SetUnixFileMode(kubeconfig, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var connected = new GuideClusters(kubeconfig, [.. names.Select((_, i) => $"cluster{i + 1}")]);
        connected._before = await connected.ListAsync();
        var mesh = connected._before.Where(value => value.Name.EndsWith(".istio.io", StringComparison.Ordinal) || value.Name == "namespace/istio-system")
            .ToList();
        Assert.True(mesh.Count == 0,
            $"the guides need clusters without a mesh, but there are: "
                + $"{string.Join(", ", mesh.Select(value => $"{value.Name} in {names[int.Parse(value.Context["cluster".Length..]) - 1]}"))}");
        return connected;
    }

    /// <summary>The clusters of a lab of two.</summary>
    internal static async Task<GuideClusters> OfLabAsync(string kubeconfig)
    {
        var lab = new GuideClusters(kubeconfig, ["cluster1", "cluster2"]);
        lab._before = await lab.ListAsync();
        return lab;
    }

    /// <summary>The block without the command that removes the lab.</summary>
    internal static GuideBlock WithoutLabDown(GuideBlock block) => block with
    {
        Script = block.Script.Replace("isthmus lab down\n", "", StringComparison.Ordinal),
        Expected = [.. block.Expected.Where(line => line != LabRemoved)],
    };

    /// <summary>The block without the commands that start and remove a lab, and without a lab's addresses in what is expected.</summary>
    internal static GuideBlock WithoutLab(GuideBlock block) => block with
    {
        Script = string.Concat(block.Script.Split('\n').Where(line => !line.StartsWith("isthmus lab ", StringComparison.Ordinal)).Select(line => line + "\n")),
        Expected = [.. block.Expected.Where(line => line != LabRemoved).Select(line => LabAddress().Replace(line, "…"))],
    };

    /// <summary>Objects that the clusters did not have before.</summary>
    internal async Task<IReadOnlyList<ClusterObject>> NewAsync() =>
        [.. (await ListAsync()).Except(_before).OrderBy(value => value.Context, StringComparer.Ordinal).ThenBy(value => value.Name, StringComparer.Ordinal)];

    internal async Task CheckAsync()
    {
        // Namespaces end in the background.
        await Eventually.AnswerAsync(NewAsync, left => left.Count == 0, left => $"these are gone: {string.Join(", ", left.Select(value => value.Name))}",
            Patience);
    }

    /// <summary>What removes a mesh that a failed guide left.</summary>
    internal static string CleanUp(IReadOnlyList<ClusterObject> left) => string.Join('\n', left.GroupBy(value => value.Context).Select(cluster =>
        $"bin/isthmus uninstall -y --purge --context={cluster.Key}; kubectl --context={cluster.Key} delete --ignore-not-found "
            + $"{string.Join(' ', cluster.Select(value => value.Name))}"));

    private async Task<IReadOnlySet<ClusterObject>> ListAsync()
    {
        var found = new HashSet<ClusterObject>();
        foreach (var context in _contexts)
        {
            // Older clusters do not have all kinds.
            if (!_kinds.TryGetValue(context, out var kinds))
            {
                var served = (await KubectlAsync(_kubeconfig, "--context", context, "api-resources", "--verbs=list", "--namespaced=false", "-o", "name"))
                    .Split('\n').Select(name => name.Split('.')[0]).ToHashSet();
                _kinds[context] = kinds = string.Join(',', Kinds.Split(',').Where(served.Contains));
            }
            var names = await KubectlAsync(_kubeconfig, "--context", context, "get", kinds, "-o", "name", "--ignore-not-found");
            foreach (var name in names.Split('\n', StringSplitOptions.RemoveEmptyEntries)) found.Add(new(context, name));
        }
        return found;
    }

    private static async Task<string> KubectlAsync(string? kubeconfig, params string[] arguments)
    {
        var start = new ProcessStartInfo("kubectl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (kubeconfig is not null) start.Environment["KUBECONFIG"] = kubeconfig;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"kubectl {string.Join(' ', arguments)} failed: {await error}");
        return output;
    }

    [GeneratedRegex(@"172\.18\.[0-9.]*…?")]
    private static partial Regex LabAddress();
}
