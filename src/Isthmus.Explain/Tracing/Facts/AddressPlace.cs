namespace Isthmus.Explain.Tracing.Facts;

/// <summary>What a cluster says of an address that no Pod or Service in what was read has.</summary>
/// <param name="Range">The range of Pods that it is in, with its Node; empty: it is in none, or nobody may read Nodes.</param>
/// <param name="IsTaken">Whether a Pod has it, in whatever namespace, or that cannot be told.</param>
internal sealed record AddressPlace(string Range, bool IsTaken)
{
    /// <summary>Nobody may look.</summary>
    public static readonly AddressPlace Unknown = new("", true);
}
