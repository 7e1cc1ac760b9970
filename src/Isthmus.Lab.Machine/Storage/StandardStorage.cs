
namespace Isthmus.Lab.Machine.Storage;

/// <summary>The one storage class of a lab cluster: directories of its node.</summary>
public static class StandardStorage
{
    /// <summary>The class that the lab provides, and the default.</summary>
    public const string Class = "standard";

    public const string Provisioner = "lab.isthmus.internal/directory";
}
