using Isthmus.Core.Collections;

namespace Isthmus.Lab.Supervisor;

/// <summary>The identity that the lab runs with.</summary>
public enum LabModeKind
{
    /// <summary>Real root, without a user namespace.</summary>
    Root,

    /// <summary>A user namespace with a range of UIDs, which works like root.</summary>
    Mapped,

    /// <summary>A user namespace with one UID: containers cannot use other UIDs.</summary>
    Single,
}

/// <summary>A tested way to enter the lab's namespaces.</summary>
public sealed record LabMode(LabModeKind Kind)
{
    /// <summary>The arguments of unshare(1) besides the namespaces of every mode.</summary>
    public ValueList<string> UserArguments => Kind switch
    {
        LabModeKind.Root => [],
        LabModeKind.Mapped => ["--user", "--map-root-user", "--map-auto"],
        _ => ["--user", "--map-root-user"],
    };

    /// <summary>The whole command line that runs <paramref name="command"/> as PID 1 of a new lab.</summary>
    public string[] Enter(IReadOnlyList<string> command) =>
    [
        "unshare", .. UserArguments,
        "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--ipc", "--cgroup",
        "--", .. command,
    ];

    public override string ToString() => Kind switch
    {
        LabModeKind.Root => "root",
        LabModeKind.Mapped => "rootless (a range of user IDs)",
        _ => "rootless (one user ID)",
    };
}
