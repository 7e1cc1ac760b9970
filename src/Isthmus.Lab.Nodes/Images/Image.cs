using Isthmus.Core.Collections;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>What an image brings besides the machine's own programs.</summary>
public enum RootKind
{
    /// <summary>Only the machine's root file system.</summary>
    Machine,

    /// <summary>Also this build at /opt/isthmus, the .NET runtime at /opt/dotnet, and our programs' names in /usr/local/bin.</summary>
    Runtime,
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

    public string WorkingDirectory { get; init; } = "/";
}
