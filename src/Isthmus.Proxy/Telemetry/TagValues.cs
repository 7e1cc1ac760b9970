using System.Text;

namespace Isthmus.Proxy.Telemetry;

/// <summary>The values of the tags of a request, each followed by a zero byte.</summary>
internal sealed class TagValues(byte[] bytes) : IEquatable<TagValues>
{
    private readonly int _hash = Hash(bytes);

    public int Length => bytes.Length;

    public string[] Texts => Encoding.UTF8.GetString(bytes).Split('\0');

    public bool Is(ReadOnlySpan<byte> other) => other.SequenceEqual(bytes);

    public bool Equals(TagValues? other) => other is not null && (ReferenceEquals(this, other) || other.Is(bytes));

    public override bool Equals(object? obj) => Equals(obj as TagValues);

    public override int GetHashCode() => _hash;

    private static int Hash(byte[] bytes)
    {
        var hash = new HashCode();
        hash.AddBytes(bytes);
        return hash.ToHashCode();
    }
}
