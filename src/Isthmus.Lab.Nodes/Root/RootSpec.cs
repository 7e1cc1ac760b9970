using Isthmus.Core.Collections;

namespace Isthmus.Lab.Nodes.Root;

/// <summary>A directory or file that is mounted into a container.</summary>
/// <param name="Source">Path in the lab's mount namespace.</param>
/// <param name="Target">Absolute path in the container.</param>
internal sealed record RootMount(string Source, string Target, bool ReadOnly, bool IsFile = false);

/// <summary>The root file system of one container: the files of an image, or the machine's programs and configuration, and
/// what the Pod mounts.</summary>
/// <param name="At">An existing directory that the container's thread uses as mount point; containers may share it, each
/// sees its own mount.</param>
/// <param name="Mounts">Volumes and files such as /etc/hosts, in any order.</param>
/// <param name="Links">Symbolic links (path in the container → target): names of our own programs.</param>
/// <param name="Hidden">Directories of the machine that must not be visible: the lab's state.</param>
/// <param name="Writable">Whether the container may write: to the root of an image, or to its own temporary
/// directories.</param>
/// <param name="TerminalGroup">The group of terminals (5 by convention), or null when it is not mapped here.</param>
internal sealed record RootSpec(
    string At, ValueList<RootMount> Mounts, ValueMap<string> Links, ValueList<string> Hidden, bool Writable, int? TerminalGroup)
{
    /// <summary>The directory with the files of an image. Null: the root is the machine's, read-only.</summary>
    internal string? Image { get; init; }

    /// <summary>Builds the root on the calling thread, which must be in its own mount namespace.</summary>
    /// <exception cref="IOException">The kernel rejected a mount, or a source does not exist.</exception>
    internal void Build()
    {
        Machine.Linux.Mounts.MakeSlave("/");
        if (Image is { } image) new ImageRoot(this, image).Build();
        else new MachineRoot(this).Build();
    }
}

/// <summary>The parts of the machine's root file system that a container sees, and those that it never sees.</summary>
internal static class RootView
{
    /// <summary>Top-level directories that hold programs. Everything else (home, root, mnt, srv, data of the machine's
    /// owner) is left out.</summary>
    internal static readonly ValueList<string> Programs = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt", "nix", "snap"];

    /// <summary>Empty directories that programs expect to exist.</summary>
    internal static readonly ValueList<string> Empty = ["root", "home", "mnt", "media", "srv", "proc", "sys", "dev", "tmp", "run", "var"];

    /// <summary>Directories below /etc, in addition to everything at its first level that other users may not read:
    /// credentials and keys.</summary>
    internal static readonly ValueList<string> Secret =
    [
        "ssl/private", "ssh", "letsencrypt", "kubernetes", "rancher", "docker", "containerd", "wireguard", "openvpn", "swanctl", "ipsec.d", "sudoers.d",
        "NetworkManager", "wpa_supplicant", "netplan", "pki/tls/private", "security/opasswd", "krb5.keytab", "credstore", "credstore.encrypted", "isthmus",
    ];

    /// <summary>Directories of /var whose first level is shown as empty directories that the container may write to,
    /// because programs refuse to start without theirs.</summary>
    internal static readonly ValueList<string> Variable = ["lib", "log", "cache", "spool"];
}
