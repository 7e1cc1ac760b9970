using System.Runtime.InteropServices;

namespace Isthmus.Images.Description;

/// <summary>The platform of this program, in the words of images.</summary>
public static class ImagePlatform
{
    public const string System = "linux";

    /// <summary>As Go names it: amd64 or arm64.</summary>
    public static string Architecture => RuntimeInformation.ProcessArchitecture switch
    {
        global::System.Runtime.InteropServices.Architecture.X64 => "amd64",
        global::System.Runtime.InteropServices.Architecture.Arm64 => "arm64",
        var other => other.ToString().ToLowerInvariant(),
    };
}
