using Isthmus.Core.Problems;
using Isthmus.Proxy.Matching;

namespace Isthmus.Proxy.Tls;

/// <summary>Roots that a resource contains. Two are equal if their text is.</summary>
internal sealed class InlineRoots : IEquatable<InlineRoots>
{
    /// <exception cref="ResourceException">It holds no certificate.</exception>
    public InlineRoots(string pem)
    {
        try
        {
            Roots = RootSecret.Load("trusted_ca", pem);
        }
        catch (ProblemException e)
        {
            throw new ResourceException($"trusted_ca: {e.Problem.Message}");
        }
    }

    public RootSecret Roots { get; }

    public bool Equals(InlineRoots? other) => other is not null && other.Roots.Pem == Roots.Pem;

    public override bool Equals(object? obj) => Equals(obj as InlineRoots);

    public override int GetHashCode() => string.GetHashCode(Roots.Pem, StringComparison.Ordinal);
}
