namespace Isthmus.Mesh.Model;

/// <summary>Whether an account may read the Secrets of its namespace, as the API server of its cluster says.</summary>
/// <param name="Denial">Why not; empty: it may.</param>
public sealed record SecretAccess(string Denial)
{
    public static readonly SecretAccess Granted = new("");

    public bool IsGranted => Denial.Length == 0;
}
