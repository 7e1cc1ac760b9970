using System.Runtime.InteropServices;
using System.Text;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>Changes the calling process as a whole.</summary>
internal static unsafe class ProcessImage
{
    private const int SetDescriptorFlags = 2;

    /// <summary>Becomes another program, with the same PID and every descriptor that is kept open (<see cref="KeepOpen"/>).
    /// Returns only by throwing.</summary>
    internal static void Replace(string path, IReadOnlyList<string> arguments, IEnumerable<KeyValuePair<string, string>> environment)
    {
        var argumentTable = Table(arguments.Prepend(path));
        var environmentTable = Table(environment.Select(e => $"{e.Key}={e.Value}"));
        fixed (byte* name = Encoding.UTF8.GetBytes(path + "\0"))
        {
            _ = Libc.Execute(name, argumentTable, environmentTable);
        }
        throw new LinuxException($"execve {path}", Marshal.GetLastPInvokeError());
    }

    /// <summary>Keeps a descriptor open across execve and in children.</summary>
    internal static void KeepOpen(int descriptor) =>
        LinuxException.Check(Libc.FileControl(descriptor, SetDescriptorFlags, 0), $"clear FD_CLOEXEC of {descriptor}");

    internal static void CloseOnExecute(int descriptor) =>
        LinuxException.Check(Libc.FileControl(descriptor, SetDescriptorFlags, 1), $"set FD_CLOEXEC of {descriptor}");

    internal static void SetHostName(string name)
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        fixed (byte* text = bytes) LinuxException.Check(Libc.SetHostName(text, (nuint)bytes.Length), $"sethostname {name}");
    }

    /// <summary>Sends a signal; false when there is no such process. Prefer <see cref="PidHandle"/> if the process may have
    /// ended meanwhile.</summary>
    internal static bool Kill(int process, int signal)
    {
        if (Libc.Kill(process, signal) == 0) return true;
        var errno = Marshal.GetLastPInvokeError();
        return errno == LinuxException.ESrch ? false : throw new LinuxException($"kill -{signal} {process}", errno);
    }

    internal static bool IsRoot => Libc.GetUserId() == 0;

    // The table is needed until execve succeeds. Then the kernel drops the whole address space, so there is nothing to
    // free.
    private static byte** Table(IEnumerable<string> texts)
    {
        var all = texts.Select(t => Marshal.StringToCoTaskMemUTF8(t)).ToArray();
        var table = (byte**)Marshal.AllocCoTaskMem((all.Length + 1) * sizeof(byte*));
        for (var i = 0; i < all.Length; i++) table[i] = (byte*)all[i];
        table[all.Length] = null;
        return table;
    }
}
