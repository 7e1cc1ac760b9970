using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Isthmus.Output;

/// <summary>The size of a terminal, as its driver knows it.</summary>
[SupportedOSPlatform("linux")]
internal static partial class TerminalSize
{
    private const nuint GetWindowSize = 0x5413;

    // struct winsize of asm-generic/termios.h: rows and columns come first.
    [StructLayout(LayoutKind.Sequential)]
    private struct Size
    {
        internal ushort Rows, Columns, Width, Height;
    }

    /// <returns>0: unknown.</returns>
    internal static int Columns(int descriptor) => Ask(descriptor, GetWindowSize, out var size) == 0 ? size.Columns : 0;

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Ask(int descriptor, nuint request, out Size size);
}
