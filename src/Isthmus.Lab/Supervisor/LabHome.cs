using Isthmus.Core.Problems;
using Isthmus.Lab.ApiServer.Pki;

namespace Isthmus.Lab.Supervisor;

/// <summary>The lab's directory on the machine (0700): all that remains of a lab whose supervisor was killed.</summary>
public sealed record LabHome(string Directory)
{
    // sockaddr_un holds 108 bytes, including the final zero.
    private const int LongestSocketPath = 107;

    /// <summary>The directory: <c>ISTHMUS_LAB_HOME</c>, else below <c>XDG_STATE_HOME</c>, else below
    /// <c>~/.local/state</c>.</summary>
    /// <exception cref="ProblemException">The environment names no directory, or one that cannot be used.</exception>
    public static LabHome Locate(Func<string, string?> environment)
    {
        if (environment("ISTHMUS_LAB_HOME") is { Length: > 0 } given) return Checked(given, "ISTHMUS_LAB_HOME");
        if (environment("XDG_STATE_HOME") is { Length: > 0 } state) return Checked(Path.Combine(state, "isthmus/lab"), "XDG_STATE_HOME");
        if (environment("HOME") is { Length: > 0 } home) return Checked(Path.Combine(home, ".local/state/isthmus/lab"), "HOME");
        throw new ProblemException("environment", "HOME is not set, so the lab has no directory for its state", "set ISTHMUS_LAB_HOME to a directory");
    }

    /// <summary>The program of Envoy that Pods of the lab see where images built with one have it (<c>ISTHMUS_LAB_ENVOY</c>); empty for none.</summary>
    /// <exception cref="ProblemException">There is no such file.</exception>
    public static string Envoy(Func<string, string?> environment)
    {
        const string variable = "ISTHMUS_LAB_ENVOY";
        if (environment(variable) is not { Length: > 0 } path) return "";
        return File.Exists(path)
            ? Path.GetFullPath(path)
            : throw new ProblemException(variable, $"there is no file {path}", "set it to the path of a program of Envoy, or remove it");
    }

    /// <summary>The supervisor's socket.</summary>
    public string Socket => Path.Combine(Directory, "supervisor.sock");

    /// <summary>The supervisor's socket for its API servers, which leads to the machine's loopback.</summary>
    internal string MachineSocket => Path.Combine(Directory, Machine.Network.MachineSocket.FileName);

    /// <summary>The state file with the clusters. Only the supervisor writes it.</summary>
    public string LabFile => Path.Combine(Directory, "lab.json");

    /// <summary>The lock that a command holds while it starts a supervisor.</summary>
    public string Lock => Path.Combine(Directory, "lock");

    /// <summary>The kubeconfig files that have entries of this lab, one per line.</summary>
    public string KubeconfigList => Path.Combine(Directory, "kubeconfigs");

    /// <summary>The created directories outside this one, outermost first, one per line.</summary>
    private string MadeList => Path.Combine(Directory, "made");

    public string Logs => Path.Combine(Directory, "logs");

    public string Clusters => Path.Combine(Directory, "clusters");

    /// <summary>The mesh file of a lab that was brought up as a mesh, and its certificates.</summary>
    public string Mesh => Path.Combine(Directory, "mesh");

    /// <summary>The images that were loaded, for all clusters.</summary>
    public string Images => Path.Combine(Directory, "images");

    public string Cluster(string name) => Path.Combine(Clusters, name);

    public string Log(string name) => Path.Combine(Logs, $"{name}.log");

    public bool Exists => System.IO.Directory.Exists(Directory);

    public void Create()
    {
        const UnixFileMode ownerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        try
        {
            var missing = Missing(Path.GetDirectoryName(Directory));
            System.IO.Directory.CreateDirectory(Directory, ownerOnly);
            File.AppendAllLines(MadeList, missing);
            // An existing directory may have another mode.
            File.SetUnixFileMode(Directory, ownerOnly);
            System.IO.Directory.CreateDirectory(Logs, ownerOnly);
            System.IO.Directory.CreateDirectory(Clusters, ownerOnly);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw new ProblemException(Directory, $"cannot be created: {e.Message}", "set ISTHMUS_LAB_HOME to a writable directory", e);
        }
    }

    /// <summary>Creates <see cref="Mesh"/> for the owner only.</summary>
    public void CreateMesh() => PrivateFile.CreateDirectory(Mesh);

    /// <summary>Creates a directory outside this one. If it is empty when the lab is removed, it is removed too.</summary>
    public void CreateOutside(string directory)
    {
        var missing = Missing(directory);
        System.IO.Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (Exists && missing.Count > 0) File.AppendAllLines(MadeList, missing);
    }

    /// <summary>Removes the directory if it is empty, and the directories that were created for it.</summary>
    public void RemoveEmpty()
    {
        var made = File.Exists(MadeList) ? File.ReadAllLines(MadeList) : [];
        File.Delete(MadeList);
        foreach (var directory in made.Append(Directory).Reverse().Where(System.IO.Directory.Exists))
        {
            // Something else may use the directory by now.
            if (!System.IO.Directory.EnumerateFileSystemEntries(directory).Any()) System.IO.Directory.Delete(directory);
        }
    }

    private static List<string> Missing(string? directory)
    {
        var missing = new List<string>();
        for (var at = directory; at is not null && !System.IO.Directory.Exists(at); at = Path.GetDirectoryName(at)) missing.Insert(0, at);
        return missing;
    }

    private static LabHome Checked(string path, string variable)
    {
        if (!Path.IsPathRooted(path)) throw new ProblemException(variable, $"'{path}' is not an absolute path", "use a path that begins with /");
        var home = new LabHome(Path.GetFullPath(path).TrimEnd('/'));
        if (home.Directory is "" or "/run" || home.Directory.StartsWith("/run/", StringComparison.Ordinal)
            || home.Directory.StartsWith("/proc/", StringComparison.Ordinal))
        {
            throw new ProblemException(variable, $"'{path}' cannot hold the lab's state: inside the lab /run is another file system",
                "choose a directory outside /run");
        }
        if (System.Text.Encoding.UTF8.GetByteCount(home.Socket) > LongestSocketPath)
        {
            throw new ProblemException(variable, $"'{home.Socket}' is too long for a socket (at most {LongestSocketPath} bytes)",
                "set ISTHMUS_LAB_HOME to a shorter path");
        }
        return home;
    }
}
