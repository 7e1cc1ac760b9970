using System.CommandLine;

namespace Isthmus.Options;

/// <summary>The flags that answer a question in advance.</summary>
internal static class ConfirmationOption
{
    /// <summary>For what changes clusters, spelt as in istioctl.</summary>
    internal static Option<bool> Skip() => new("--skip-confirmation", "-y") { Description = "Do not ask for confirmation" };

    /// <summary>For what may have to install programs on this machine.</summary>
    internal static Option<bool> InstallMissing() => new("--yes", "-y") { Description = "Install missing programs without asking for confirmation" };
}
