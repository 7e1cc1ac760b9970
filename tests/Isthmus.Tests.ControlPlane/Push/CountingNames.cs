namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>Counts how often a name is looked up.</summary>
internal sealed class CountingNames : IEqualityComparer<string>
{
    private int _count;

    public int Count { get => _count; set => _count = value; }

    public bool Equals(string? x, string? y) => string.Equals(x, y, StringComparison.Ordinal);

    public int GetHashCode(string name)
    {
        Interlocked.Increment(ref _count);
        return StringComparer.Ordinal.GetHashCode(name);
    }
}
