using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Isthmus.Images.Unpacking;

/// <summary>What .NET has no call for.</summary>
[SupportedOSPlatform("linux")]
internal static partial class NativeFiles
{
    /// <summary>Gives a file to a user, without following links. False where the IDs are not mapped, or the caller is not root.</summary>
    internal static bool TryGive(string path, int user, int group) => ChangeOwner(path, user, group) == 0;

    internal static void Link(string existing, string path)
    {
        if (MakeLink(existing, path) != 0)
            throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}", Marshal.GetLastPInvokeError());
    }

    [LibraryImport("libc", EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, int user, int group);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeLink(string existing, string path);
}
