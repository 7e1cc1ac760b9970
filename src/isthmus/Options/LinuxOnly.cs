using System.CommandLine;
using System.Runtime.Versioning;
using Isthmus.Core.Problems;
using Isthmus.Images.Description;

namespace Isthmus.Options;

/// <summary>What needs Linux. On other systems, and in an archive without the lab, these commands are listed, and say why they do not work.</summary>
internal static class LinuxOnly
{
    /// <summary>Whether this is Linux, and this build has the lab and the node agent: an archive lacks both or none.</summary>
    [SupportedOSPlatformGuard("linux")]
    internal static bool IsAvailable { get; } = OperatingSystem.IsLinux()
        && (ProgramLayout.IsNative || File.Exists(Path.Combine(AppContext.BaseDirectory, "Isthmus.Lab.dll")));

    /// <summary>A command in place of one that does not work here.</summary>
    internal static Command Command(string name)
    {
        var command = new Command(name, "Not available here: it needs Linux, and the lab.")
        {
            new Argument<string[]>("arguments") { Arity = ArgumentArity.ZeroOrMore, Hidden = true },
        };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((_, _) => Task.FromException<int>(Problem($"isthmus {name}")));
        return command;
    }

    internal static ProblemException Problem(string command) => Problem(command, OperatingSystem.IsLinux());

    internal static ProblemException Problem(string command, bool isLinux) => isLinux
        ? new(command, "is not in this archive, which has only the commands that talk to clusters", "use the archive of the same release for Linux")
        : new(command, "needs Linux", "run it on a Linux machine; commands that only talk to clusters work here");
}
