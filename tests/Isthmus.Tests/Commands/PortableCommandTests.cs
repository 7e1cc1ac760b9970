using System.Diagnostics;
using System.Reflection;
using System.Runtime.Versioning;
using Isthmus.Kubernetes.Client;
using Isthmus.Options;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>Commands that only talk to clusters run without the lab, and need nothing that only Linux has. The other half of the proof is the
/// analyzer CA1416, which <c>./test --style</c> runs on the projects that are not for Linux only.</summary>
public sealed class PortableCommandTests : IDisposable
{
    private static readonly string[] LinuxOnlyPrefixes = ["Isthmus.Lab", "Isthmus.Cni"];

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-client-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>As in the archive for other systems: a command that loaded the lab would fail.</summary>
    [Fact]
    public async Task The_program_runs_without_the_lab()
    {
        foreach (var file in Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll")
            .Where(file => !LinuxOnlyPrefixes.Any(prefix => Path.GetFileName(file).StartsWith(prefix, StringComparison.Ordinal))))
            File.CreateSymbolicLink(Path.Combine(_directory, Path.GetFileName(file)), file);
        // The host starts where the link leads to, and would find everything there.
        File.Delete(Path.Combine(_directory, "isthmus.dll"));
        File.Copy(Path.Combine(AppContext.BaseDirectory, "isthmus.dll"), Path.Combine(_directory, "isthmus.dll"));
        File.Copy(Path.Combine(AppContext.BaseDirectory, "isthmus.runtimeconfig.json"), Path.Combine(_directory, "isthmus.runtimeconfig.json"));

        var help = await RunAsync("--help");
        foreach (var command in CommandLine.BuildRoot([]).Subcommands.Where(command => !command.Hidden))
            Assert.Matches($"\n  ([a-z]+, )*{command.Name}[ ,]", help.Output);
        Assert.StartsWith("apiVersion:", (await RunAsync("manifest", "generate", "--set", "profile=minimal")).Output, StringComparison.Ordinal);
        foreach (var line in (string[])["lab up --clusters 3", "quickstart -y", "lab-node", "install-cni"])
        {
            var refused = await RunAsync(line.Split(' '));
            Assert.Equal(1, refused.ExitCode);
            Assert.EndsWith("is not in this archive, which has only the commands that talk to clusters (use the archive of the same release for Linux)\n",
                refused.Error, StringComparison.Ordinal);
            Assert.Equal(1, refused.Error.Count(letter => letter == '\n'));
        }
    }

    [Fact]
    public void On_other_systems_commands_for_Linux_say_so() =>
        Assert.Equal("isthmus lab: needs Linux (run it on a Linux machine; commands that only talk to clusters work here)",
            LinuxOnly.Problem("isthmus lab", isLinux: false).Message);

    [Fact]
    public void Only_the_lab_and_the_node_agent_are_for_Linux_as_a_whole() =>
        Assert.All(Product(), assembly => Assert.Equal(IsLinuxOnly(assembly), IsForLinux(assembly)));

    /// <summary>The analyzer cannot know what a library of the system has.</summary>
    [Fact]
    public void Functions_of_the_system_are_called_only_by_what_is_for_Linux()
    {
        var portable =
            from assembly in Product().Where(assembly => !IsForLinux(assembly))
            from type in assembly.GetTypes()
            where type.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
                .Any(method => method.Attributes.HasFlag(MethodAttributes.PinvokeImpl))
            where !IsForLinux(type)
            select type.FullName;
        Assert.Empty(portable);
    }

    [Theory]
    [InlineData("HOME=/home/me USERPROFILE=/other", "/home/me/.kube/config")]
    [InlineData("USERPROFILE=/users/me", "/users/me/.kube/config")]
    [InlineData("HOMEDRIVE=/drive HOMEPATH=/me", "/drive/me/.kube/config")]
    [InlineData("", "/.kube/config")]
    public void The_kubeconfig_is_in_the_home_directory_as_kubectl_finds_it(string variables, string file)
    {
        var set = variables.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        Assert.Equal([file], KubeConfig.Files(null, set.GetValueOrDefault));
        Assert.Equal(["/a", "/b"], KubeConfig.Files(null, name => name == "KUBECONFIG" ? $"/a{Path.PathSeparator}/b" : set.GetValueOrDefault(name)));
    }

    private static IEnumerable<Assembly> Product() =>
        Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll").Select(Path.GetFileNameWithoutExtension)
            .Where(name => name is "isthmus"
                || (name!.StartsWith("Isthmus.", StringComparison.Ordinal)
                    && !name.StartsWith("Isthmus.Test", StringComparison.Ordinal) && !name.StartsWith("Isthmus.Rigs.", StringComparison.Ordinal)))
            .Select(name => Assembly.Load(name!));

    private static bool IsLinuxOnly(Assembly assembly) =>
        LinuxOnlyPrefixes.Any(prefix => assembly.GetName().Name!.StartsWith(prefix, StringComparison.Ordinal));

    private static bool IsForLinux(ICustomAttributeProvider place) =>
        place.GetCustomAttributes(typeof(SupportedOSPlatformAttribute), inherit: false).Cast<SupportedOSPlatformAttribute>()
            .Any(platform => platform.PlatformName == "linux");

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) =>
        StartedProgram.RunAsync(new ProcessStartInfo("dotnet", [Path.Combine(_directory, "isthmus.dll"), .. arguments]) { WorkingDirectory = _directory },
            TestContext.Current.CancellationToken);
}
