using Isthmus.Core.Collections;
using Isthmus.Images.Debian;

namespace Isthmus.Images.Building;

/// <summary>The program that becomes an image.</summary>
/// <param name="Directory">The directory of the build.</param>
/// <param name="Frameworks">The directories of the shared frameworks that it needs, each named by its version; empty for a native program.</param>
/// <param name="Version">The version of the program.</param>
/// <param name="Sources">The checkout that it was built from; empty if unknown.</param>
public sealed record ProgramSource(string Directory, ValueList<string> Frameworks, string Version, string Sources)
{
    /// <summary>The file of a native program; empty if the program is the whole directory.</summary>
    public string Executable { get; init; } = "";
}

/// <summary>What to build.</summary>
/// <param name="Output">The archive to write.</param>
/// <param name="Names">Complete references of the image.</param>
/// <param name="Architecture">As Go names it: amd64 or arm64.</param>
/// <param name="Bill">Where to write the bill of materials too; empty for only in the image.</param>
/// <param name="Epoch">The value of SOURCE_DATE_EPOCH; empty for the time of the sources.</param>
public sealed record BuildRequest(
    ProgramSource Program, string Output, ValueList<string> Names, string Architecture, PackageSource Packages, string Bill, string Epoch)
{
    /// <summary>Whether the archive also gets images of the samples, which share its layers.</summary>
    public bool Samples { get; init; }

    /// <summary>A program of Envoy that the image also gets; empty for none.</summary>
    public string Envoy { get; init; } = "";

    /// <summary>Whether the image lacks the CNI plug-in, and so cannot be the agent of nodes.</summary>
    public bool WithoutCni { get; init; }
}

/// <summary>An image that was built.</summary>
public sealed record BuiltImage(Oci.Digest Digest, string Output, long Size, long UnpackedSize, DateTimeOffset Created);

/// <summary>Sees the steps of a build.</summary>
public interface IBuildProgress
{
    void Started(string step);

    void Finished(string step, TimeSpan took);
}
