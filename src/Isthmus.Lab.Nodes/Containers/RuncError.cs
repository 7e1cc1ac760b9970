namespace Isthmus.Lab.Nodes.Containers;

/// <summary>Why a program cannot be started, as runc and containerd report it: users search for these messages, and tools match them.</summary>
internal static class RuncError
{
    internal const string Missing = "no such file or directory";

    /// <param name="program">As the command names it.</param>
    /// <param name="cause">The error of the system.</param>
    internal static string Of(string program, string cause)
    {
        var why = cause != Missing ? cause
            : program.Contains('/', StringComparison.Ordinal) ? $"stat {program}: {cause}"
            : "executable file not found in $PATH";
        return $"unable to start container process: exec: \"{program}\": {why}: unknown";
    }
}
