using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Isthmus.Core.Trust;

/// <summary>
/// The trust store of .NET on Linux. Each process reads the machine's roots into it, a few hundred certificates, as soon as it builds the chain
/// of any certificate, whatever roots are given for it. That is a sixth of the CPU time of a quickstart, and a mesh has roots of its own.
/// </summary>
public static partial class RuntimeStore
{
    /// <summary>OpenSSL takes it for a file without certificates, and for a folder that does not exist.</summary>
    private const string Nothing = "/dev/null";

    internal static bool IsEmpty { get; private set; }

    /// <summary>Keeps it empty, so that clients of public servers need <see cref="SystemRoots.Policy()"/>. Call it before other threads run.</summary>
    public static void Empty()
    {
        if (!OperatingSystem.IsLinux()) return;
        // From now on, .NET has a copy of the environment: it shows what the user has set, and programs that this one starts get that.
        _ = Environment.GetEnvironmentVariables();
        IsEmpty = Libc.SetEnvironment("SSL_CERT_FILE", Nothing, 1) == 0 && Libc.SetEnvironment("SSL_CERT_DIR", Nothing, 1) == 0;
    }

    [SupportedOSPlatform("linux")]
    private static partial class Libc
    {
        [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
        internal static partial int SetEnvironment(string name, string value, int overwrite);
    }
}
