using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Images.Description;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Lab.Nodes.Root;
using Isthmus.Lab.Nodes.Volumes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>Decides how one container starts: command, environment, root file system and mounts.</summary>
internal sealed class LaunchPlan(NodeContext node)
{
    internal const int TerminalGroup = 5;

    // Where the machine has its own nslookup, users expect its output.
    private static readonly bool HostHasLookup = File.Exists("/usr/bin/nslookup");

    /// <exception cref="StartException">The Pod refers to something that is missing or not allowed.</exception>
    internal LaunchRequest Make(PodResources resources, ContainerRun run)
    {
        var (pod, container, image, identity) = (resources.Facts.Pod, run.Spec, run.Image, run.Identity);
        try
        {
            var hostName = PodFiles.HostName(pod, node.Settings.Domain, node.Settings.NodeName);
            var environment = new EnvironmentBuilder(resources.Facts, node.Api).Build(container, ImageEnvironment(hostName, container, image, identity));
            var mounts = resources.Volumes.Mounts(pod.Spec, container, environment).Concat(OwnMounts(pod, run)).ToValueList();
            var readOnly = container.SecurityContext?.ReadOnlyRootFilesystem == true;
            var root = new RootSpec(
                node.Settings.RootDirectory, mounts, image.Root == RootKind.Runtime ? Links() : default, node.Settings.Hidden, !readOnly,
                node.Groups.Contains(TerminalGroup) ? TerminalGroup : null) { Image = image.Files };
            return new(
                root, Command(container, image, environment), environment.ToValueMap(),
                container.WorkingDir.Length > 0 ? container.WorkingDir : image.WorkingDirectory, identity, node.CanSetGroups,
                hostName, resources.Sandbox.Network, run.Files, container.Tty, container.Stdin);
        }
        catch (Exception e) when (e is ConfigurationException or VolumeException)
        {
            throw new StartException("CreateContainerConfigError", e.Message);
        }
    }

    private static ValueList<string> Command(Container container, Image image, Dictionary<string, string> environment)
    {
        // The container's own command replaces the image's entrypoint and its default arguments.
        IEnumerable<string> program = container.Command.Count > 0 ? container.Command : image.Entrypoint;
        IEnumerable<string> arguments = container.Args.Count > 0 ? container.Args : container.Command.Count > 0 ? [] : image.Arguments;
        ValueList<string> words = [.. program.Concat(arguments).Select(word => Expansion.Expand(word, environment))];
        return words.IsEmpty ? throw new StartException("CreateContainerError", "no command specified") : words;
    }

    private static Dictionary<string, string> ImageEnvironment(string hostName, Container container, Image image, ContainerIdentity identity)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["PATH"] = ProgramLayout.SearchPath,
            ["HOSTNAME"] = hostName,
            ["HOME"] = identity.Home,
        };
        if (container.Tty) values["TERM"] = "xterm";
        if (image.Root == RootKind.Runtime) AddRuntime(values, container);
        foreach (var (name, value) in image.Environment) values[name] = value;
        return values;
    }

    private static void AddRuntime(Dictionary<string, string> values, Container container)
    {
        foreach (var (name, value) in ProgramLayout.Environment) values[name] = value;
        foreach (var (name, value) in RuntimeSettings.Environment) values[name] = value;
        // No cgroup shows the runtime its limits.
        if (Quantity.Read(container.Resources.Limits.GetValueOrDefault("memory")) is { } bytes)
            values["DOTNET_GCHeapHardLimit"] = ((long)(bytes * 3 / 4)).ToString("X", CultureInfo.InvariantCulture);
        if (Quantity.Read(container.Resources.Limits.GetValueOrDefault("cpu")) is { } cpus && cpus < Environment.ProcessorCount)
            values["DOTNET_PROCESSOR_COUNT"] = Math.Max(1, (int)Math.Ceiling(cpus)).ToString(CultureInfo.InvariantCulture);
    }

    private IEnumerable<RootMount> OwnMounts(Pod pod, ContainerRun run)
    {
        var container = run.Spec;
        var directory = Path.Combine(node.Settings.PodDirectory(pod.Metadata.Uid), "etc");
        foreach (var name in new[] { "hosts", "resolv.conf", "hostname" })
        {
            if (container.VolumeMounts.All(mount => mount.MountPath != $"/etc/{name}"))
                yield return new(Path.Combine(directory, name), $"/etc/{name}", ReadOnly: false, IsFile: true);
        }
        var message = container.TerminationMessagePath.Length > 0 ? container.TerminationMessagePath : "/dev/termination-log";
        yield return new(run.Files.TerminationMessage, message, ReadOnly: false, IsFile: true);
        if (run.Image.Root != RootKind.Runtime) yield break;
        foreach (var mount in ProgramMounts(node.Settings.Build, node.Settings.Dotnet)) yield return mount;
        yield return new(node.Settings.NamesDirectory, ProgramLayout.NamesDirectory, ReadOnly: true);
        if (node.Settings.Envoy.Length > 0) yield return new(node.Settings.Envoy, ProgramLayout.Envoy, ReadOnly: true, IsFile: true);
    }

    /// <summary>Of a native program, which may have any name, and of its directory nothing else.</summary>
    /// <param name="build">Its file; otherwise, the directory of the build.</param>
    /// <param name="dotnet">The root of the .NET runtime.</param>
    internal static IEnumerable<RootMount> ProgramMounts(string build, string dotnet)
    {
        if (Directory.Exists(build))
            return [new(build, ProgramLayout.BuildDirectory, ReadOnly: true), new(dotnet, ProgramLayout.RuntimeDirectory, ReadOnly: true)];
        var plugin = Path.Combine(Path.GetDirectoryName(build)!, ProgramLayout.CniPlugin);
        var program = new RootMount(build, ProgramLayout.NativeProgram, ReadOnly: true, IsFile: true);
        return File.Exists(plugin)
            ? [program, new(plugin, $"{ProgramLayout.BuildDirectory}/{ProgramLayout.CniPlugin}", ReadOnly: true, IsFile: true)]
            : [program];
    }

    internal static ValueMap<string> Links() =>
        ProgramLayout.Names.Keys.Where(name => name != "nslookup" || !HostHasLookup)
            .Select(name => new KeyValuePair<string, string>($"{ProgramLayout.SearchedDirectory}/{name}", $"{ProgramLayout.NamesDirectory}/{name}"))
            .ToValueMap();
}
