using Isthmus.Core.Collections;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>What an image brings besides the machine's own programs.</summary>
public enum RootKind
{
    /// <summary>Only the machine's root file system.</summary>
    Machine,

    /// <summary>Also this build at /opt/isthmus, the .NET runtime at /opt/dotnet, and our programs' names in /usr/local/bin.</summary>
    Runtime,

    /// <summary>The files of an image that was loaded, and nothing of the machine.</summary>
    Loaded,
}

/// <summary>An image that the lab can run: a name, and the program that it represents.</summary>
/// <param name="Pattern">A repository without tag: exact, or <c>*/name</c> for any registry and path.</param>
/// <param name="Entrypoint">What runs before the arguments; a container's <c>command</c> replaces it.</param>
/// <param name="Arguments">The arguments if the container has none.</param>
/// <param name="User">The user if the Pod names none.</param>
public sealed record Image(string Pattern, RootKind Root, ValueList<string> Entrypoint, ValueList<string> Arguments)
{
    public ValueMap<string> Environment { get; init; }

    public long User { get; init; }

    /// <summary>The directory with the files of an image that was loaded.</summary>
    public string? Files { get; init; }

    /// <summary>The user of an image that was loaded: a user, or user and group, by name or number.</summary>
    public string UserName { get; init; } = "";

    /// <summary>The ID of an image that was loaded, in the form that a container's status has.</summary>
    public string? Reference { get; init; }

    public int StopSignal { get; init; } = Signals.Term;

    public string WorkingDirectory { get; init; } = "/";
}
