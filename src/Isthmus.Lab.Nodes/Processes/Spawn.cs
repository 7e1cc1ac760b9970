using System.Runtime.InteropServices;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.Processes;

/// <summary>What to start: an absolute path as the calling thread's root shows it, its arguments (the first is its own
/// name), environment and descriptors.</summary>
/// <param name="Descriptors">Which of our descriptors the program gets under which number. It inherits no others.</param>
internal sealed record SpawnRequest(
    string Path, IReadOnlyList<string> Arguments, IReadOnlyList<string> Environment, IReadOnlyList<(int Ours, int Theirs)> Descriptors)
{
    /// <summary>A terminal that becomes the program's controlling one and its input, output and errors; null for
    /// none.</summary>
    internal string? Terminal { get; init; }
}

/// <summary>
/// Starts a process with posix_spawn. It is as safe from managed code as Process.Start, but the new process inherits the
/// namespaces of the calling thread. It gets exactly the given descriptors, its own session, and default signals.
/// </summary>
internal static unsafe partial class Spawn
{
    // glibc's are 80 and 336 bytes, musl's less.
    private const int ActionsSize = 256, AttributesSize = 768, SignalSetSize = 128;
    private const short SetSignalDefaults = 0x04, SetSignalMask = 0x08, SetSession = 0x80;
    private const int DuplicateCloseOnExecute = 1030, HighDescriptor = 200;
    private const int NoHang = 1;

    /// <returns>The PID in the PID namespace of the caller.</returns>
    internal static int Start(SpawnRequest request)
    {
        var error = TryStart(request, out var pid);
        return error == 0 ? pid : throw new LinuxException($"start {request.Path}", error);
    }

    /// <returns>0, or the error for which the program was not started.</returns>
    internal static int TryStart(SpawnRequest request, out int pid)
    {
        byte* actions = stackalloc byte[ActionsSize];
        byte* attributes = stackalloc byte[AttributesSize];
        var lifted = new List<int>();
        Check(InitActions(actions), "posix_spawn actions");
        Check(InitAttributes(attributes), "posix_spawn attributes");
        try
        {
            // Moved out of the way first: a source may have the number that an earlier pair assigns.
            foreach (var (ours, _) in request.Descriptors)
                lifted.Add(LinuxException.Check(Libc.FileControl(ours, DuplicateCloseOnExecute, HighDescriptor), $"duplicate descriptor {ours}"));
            for (var i = 0; i < lifted.Count; i++)
                Check(AddDuplicate(actions, lifted[i], request.Descriptors[i].Theirs), "posix_spawn descriptor");
            var highest = request.Descriptors.Count == 0 ? -1 : request.Descriptors.Max(pair => pair.Theirs);
            if (request.Terminal is { } terminal)
            {
                AddTerminal(actions, terminal);
                highest = Math.Max(highest, 2);
            }
            CloseOthers(actions, highest + 1);
            SetSignals(attributes);
            return StartWith(request, actions, attributes, out pid);
        }
        finally
        {
            foreach (var descriptor in lifted) _ = Libc.Close(descriptor);
            _ = DestroyActions(actions);
            _ = DestroyAttributes(attributes);
        }
    }

    /// <summary>Takes the exit status of a child that has ended, so that it does not stay a zombie. It ignores other
    /// processes' children.</summary>
    internal static int? Reap(int child)
    {
        int status;
        if (WaitProcess(child, &status, NoHang) != child) return null;
        return (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
    }

    private static int StartWith(SpawnRequest request, byte* actions, byte* attributes, out int pid)
    {
        var texts = new List<nint>();
        var arguments = Table(request.Arguments, texts);
        var environment = Table(request.Environment, texts);
        try
        {
            int started;
            int error;
            fixed (byte** argumentTable = arguments, environmentTable = environment)
            {
                error = PosixSpawn(&started, request.Path, actions, attributes, argumentTable, environmentTable);
            }
            pid = started;
            return error;
        }
        finally
        {
            foreach (var text in texts) Marshal.FreeCoTaskMem(text);
        }
    }

    // The leader of a new session that opens a terminal gets it as its controlling one.
    private static void AddTerminal(byte* actions, string path)
    {
        Check(AddOpen(actions, 0, path, Libc.ORdWr, 0), "posix_spawn terminal");
        for (var descriptor = 1; descriptor <= 2; descriptor++) Check(AddDuplicate(actions, 0, descriptor), "posix_spawn terminal");
    }

    // Whoever started us may have left descriptors open that have nothing to do in a container. The function is younger
    // than others (glibc 2.34); without it only what is marked close-on-execute is closed.
    private static void CloseOthers(byte* actions, int from)
    {
        try
        {
            Check(AddCloseFrom(actions, from), "posix_spawn close");
        }
        catch (EntryPointNotFoundException)
        {
        }
    }

    private static void SetSignals(byte* attributes)
    {
        byte* all = stackalloc byte[SignalSetSize];
        byte* none = stackalloc byte[SignalSetSize];
        new Span<byte>(all, SignalSetSize).Fill(0xff);
        new Span<byte>(none, SignalSetSize).Clear();
        // .NET ignores SIGPIPE, and a new program would inherit that.
        Check(SetDefaults(attributes, all), "posix_spawn signals");
        Check(SetMask(attributes, none), "posix_spawn mask");
        Check(SetFlags(attributes, SetSignalDefaults | SetSignalMask | SetSession), "posix_spawn flags");
    }

    private static byte*[] Table(IReadOnlyList<string> texts, List<nint> owned)
    {
        var table = new byte*[texts.Count + 1];
        for (var i = 0; i < texts.Count; i++)
        {
            var text = Marshal.StringToCoTaskMemUTF8(texts[i]);
            owned.Add(text);
            table[i] = (byte*)text;
        }
        return table;
    }

    // These return the error instead of setting errno.
    private static void Check(int error, string operation)
    {
        if (error != 0) throw new LinuxException(operation, error);
    }

    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int PosixSpawn(int* pid, string path, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    private static partial int InitActions(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    private static partial int DestroyActions(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    private static partial int AddDuplicate(byte* actions, int from, int to);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int AddOpen(byte* actions, int descriptor, string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addclosefrom_np")]
    private static partial int AddCloseFrom(byte* actions, int from);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")]
    private static partial int InitAttributes(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    private static partial int DestroyAttributes(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    private static partial int SetFlags(byte* attributes, short flags);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")]
    private static partial int SetDefaults(byte* attributes, byte* signals);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigmask")]
    private static partial int SetMask(byte* attributes, byte* signals);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    private static partial int WaitProcess(int pid, int* status, int options);
}
