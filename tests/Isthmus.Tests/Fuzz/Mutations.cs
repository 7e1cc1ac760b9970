namespace Isthmus.Tests.Fuzz;

/// <summary>Makes broken inputs of valid ones: changed, removed, repeated and strange bytes, and pieces of other inputs.</summary>
internal static class Mutations
{
    private static readonly byte[] Strange = [0, 1, 9, 10, 13, 32, 34, 45, 46, 58, 59, 0x7f, 0x80, 0xc0, 0xfe, 0xff];

    internal static byte[] Of(IReadOnlyList<byte[]> corpus, Random random)
    {
        var bytes = corpus[random.Next(corpus.Count)].ToList();
        for (var changes = random.Next(1, 6); changes > 0; changes--) Change(bytes, corpus, random);
        return [.. bytes];
    }

    private static void Change(List<byte> bytes, IReadOnlyList<byte[]> corpus, Random random)
    {
        var at = random.Next(bytes.Count + 1);
        var length = Math.Min(random.Next(1, random.Next(10) == 0 ? 1000 : 9), bytes.Count - at);
        switch (random.Next(8))
        {
            case 0 when at < bytes.Count: bytes[at] ^= (byte)(1 << random.Next(8)); break;
            case 1 when at < bytes.Count: bytes[at] = (byte)random.Next(256); break;
            case 2 when at < bytes.Count: bytes[at] = Strange[random.Next(Strange.Length)]; break;
            case 3: bytes.Insert(at, Strange[random.Next(Strange.Length)]); break;
            case 4: bytes.RemoveRange(at, length); break;
            case 5: bytes.InsertRange(at, bytes.GetRange(at, length)); break;
            case 6: bytes.RemoveRange(at, bytes.Count - at); break;
            default:
                var other = corpus[random.Next(corpus.Count)];
                var from = random.Next(other.Length + 1);
                bytes.InsertRange(at, other[from..Math.Min(other.Length, from + random.Next(1, 200))]);
                break;
        }
    }
}
