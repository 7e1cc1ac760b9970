using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Images;

/// <summary>The image of this build, unpacked once, whose containers runc runs as kubelets have them run.</summary>
public sealed class RuncRig : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-runc-").FullName;

    internal string Archive => Path.Combine(_directory, "image.tar");

    internal JsonNode Config { get; private set; } = new JsonObject();

    private readonly Dictionary<string, JsonNode> _configs = new(StringComparer.Ordinal);

    private string Root => Path.Combine(_directory, "root");

    public async ValueTask InitializeAsync()
    {
        // Tests have no network: ./test downloads the packages before.
        var packages = Path.Combine(BuiltProgram.Artifacts, "packages-13");
        await ShellAsync("""output=$1 packages=$2; shift 2; "$@" image build --samples --output "$output" --packages "$packages" """,
            [Archive, packages, .. BuiltProgram.Command.With()]);
        var layout = Path.Combine(_directory, "layout");
        await ShellAsync("""mkdir "$1" "$2" && tar xf "$3" -C "$1" """, layout, Root, Archive);
        var manifests = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(layout, "manifest.json")))!.AsArray();
        foreach (var manifest in manifests)
        {
            var config = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(layout, manifest!["Config"]!.ToString())))!;
            foreach (var name in Texts(manifest["RepoTags"]!)) _configs[name] = config;
        }
        Config = _configs[manifests[0]!["RepoTags"]![0]!.ToString()];
        // All images share their layers; that of curl has the most.
        foreach (var layer in manifests.Select(manifest => manifest!["Layers"]!.AsArray()).MaxBy(layers => layers.Count)!)
            await ShellAsync("""tar xzf "$1" -C "$2" """, Path.Combine(layout, layer!.ToString()), Root);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.Run(() => Directory.Delete(_directory, recursive: true));
        GC.SuppressFinalize(this);
    }

    /// <summary>The entry point of a sample's image.</summary>
    internal IEnumerable<string> Sample(string name) => Texts(_configs[name]["config"]!["Entrypoint"]!);

    /// <summary>Creates a bundle for a container of a Pod.</summary>
    /// <param name="command">Instead of the image's entry point and the container's arguments.</param>
    internal string Bundle(string name, JsonNode container, params string[] command)
    {
        var directory = Directory.CreateDirectory(Path.Combine(_directory, name)).FullName;
        var security = container["securityContext"]!;
        var capabilities = new JsonArray([.. (security["capabilities"]!["add"] as JsonArray ?? []).Select(one => (JsonNode)$"CAP_{one}")]);
        // An ordinary user has a single ID here, and runc needs it as the container's root.
        var (user, group) = HasOneUser ? (0, 0) : ((int)security["runAsUser"]!, (int)security["runAsGroup"]!);
        IEnumerable<string> words = command.Length > 0 ? command : Texts(Config["config"]!["Entrypoint"]!).Concat(Texts(container["args"]!));
        var environment = Texts(Config["config"]!["Env"]!)
            .Concat((container["env"] as JsonArray ?? []).Select(entry => $"{entry!["name"]}={entry["value"]?.ToString() ?? "127.0.0.1"}"));
        var mounts = new JsonArray(Mount("/proc", "proc"), Mount("/dev", "tmpfs", "nosuid", "mode=755"));
        foreach (var mount in container["volumeMounts"] as JsonArray ?? []) mounts.Add((JsonNode)Mount(mount!["mountPath"]!.ToString(), "tmpfs", "mode=1777"));
        var spaces = new JsonArray([.. ((string[])["pid", "ipc", "uts", "mount"]).Select(kind => new JsonObject { ["type"] = kind })]);
        var bundle = new JsonObject
        {
            ["ociVersion"] = "1.0.2",
            ["process"] = new JsonObject
            {
                ["user"] = new JsonObject { ["uid"] = user, ["gid"] = group },
                ["args"] = Words(words),
                ["env"] = Words(environment),
                ["cwd"] = "/",
                ["noNewPrivileges"] = !(bool)security["allowPrivilegeEscalation"]!,
                ["capabilities"] = new JsonObject
                {
                    ["bounding"] = capabilities.DeepClone(), ["effective"] = capabilities.DeepClone(), ["permitted"] = capabilities
                },
            },
            ["root"] = new JsonObject { ["path"] = Root, ["readonly"] = (bool)security["readOnlyRootFilesystem"]! },
            ["mounts"] = mounts,
            ["linux"] = new JsonObject { ["namespaces"] = spaces },
        };
        File.WriteAllText(Path.Combine(directory, "config.json"), bundle.ToJsonString());
        return directory;
    }

    /// <summary>Runs a script in a network of its own, with <c>runc</c> as a function. Returns the output; a script that fails, fails the test.</summary>
    internal Task<string> PodAsync(string script, params string[] arguments)
    {
        var state = Directory.CreateDirectory(Path.Combine(_directory, "state")).FullName;
        return ShellAsync(
            $$"""exec unshare --net --mount --pid --fork --kill-child --mount-proc -- bash -euc 'ip link set lo up; runc() { command runc --root {{state}} "$@"; }; {{script}}' pod "$@" """,
            arguments);
    }

    internal static bool HasOneUser =>
        File.ReadAllText("/proc/self/uid_map").Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[^1] == "1";

    private static async Task<string> ShellAsync(string script, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("bash",
            ["-euc", script, "bash", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        var said = await errors;
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"{script} {string.Join(' ', arguments)}: exit code {process.ExitCode}\n{output}\n{said}");
    }

    private static IEnumerable<string> Texts(JsonNode list) => list.AsArray().Select(text => text!.ToString());

    private static JsonArray Words(IEnumerable<string> words) => new([.. words.Select(word => (JsonNode)word)]);

    private static JsonObject Mount(string at, string type, params string[] options) =>
        new() { ["destination"] = at, ["type"] = type, ["source"] = type, ["options"] = Words(options) };
}
