namespace Isthmus.WebConsole.Picture;

/// <summary>Since when each problem is there, as far as the console has seen. Used by one thread at a time.</summary>
internal sealed class ProblemAges
{
    private readonly record struct Key(string Cluster, string Code, string Object, string Path);

    private Dictionary<Key, (DateTimeOffset Since, bool IsOlder)> _known = [];
    private readonly HashSet<string> _looked = new(StringComparer.Ordinal);

    /// <param name="looked">The commands that have looked, as <see cref="ProblemRow.FoundBy"/> names them.</param>
    public IReadOnlyList<ProblemRow> Mark(IReadOnlyList<ProblemRow> rows, IReadOnlyCollection<string> looked, DateTimeOffset now)
    {
        var known = new Dictionary<Key, (DateTimeOffset Since, bool IsOlder)>();
        var marked = new List<ProblemRow>(rows.Count);
        foreach (var row in rows)
        {
            var key = new Key(row.Cluster, row.Problem.Code, row.Problem.Object, row.Problem.Path);
            // What the first look finds may be there for days.
            if (!_known.TryGetValue(key, out var age)) age = (now, !_looked.Contains(row.FoundBy));
            known[key] = age;
            marked.Add(row with { Since = age.Since, IsOlder = age.IsOlder });
        }
        _known = known;
        _looked.UnionWith(looked);
        return marked;
    }
}
