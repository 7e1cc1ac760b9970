
namespace Isthmus.Lab.Machine.Storage;

/// <summary>The only storage class of a lab cluster: directories on its node.</summary>
public static class StandardStorage
{
    /// <summary>The name of the class, which is also the default class.</summary>
    public const string Class = "standard";

    public const string Provisioner = "lab.isthmus.internal/directory";
}
