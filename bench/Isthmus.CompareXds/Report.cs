using System.Text.RegularExpressions;
using Isthmus.Core.Problems;

namespace Isthmus.CompareXds;

/// <summary>A row of the page: intended differences, and the reason.</summary>
internal sealed class Explanation(string id, string type, string resource, string path, string where)
{
    private readonly Regex _resource = AnyOf(resource), _path = Pattern(path), _where = AnyOf(where);

    public string Id { get; } = id;

    public override string ToString() => $"{Id} ({path})";

    /// <summary>How many differences the row has explained so far.</summary>
    public int Used { get; set; }

    public bool Covers(string name, Difference difference) =>
        (type == "*" || type.Split(' ').Contains(difference.Type)) && _where.IsMatch(name) && _resource.IsMatch(difference.Resource)
            && _path.IsMatch(difference.Path);

    private static Regex AnyOf(string text) =>
        new("^(" + string.Join('|', text.Split(' ').Select(one => Pattern(one).ToString()[1..^1])) + ")$", RegexOptions.CultureInvariant);

    /// <summary>Only <c>*</c> is special. A table cell cannot contain a bar, so it is written as <c>?</c>.</summary>
    private static Regex Pattern(string text) =>
        new("^" + Regex.Escape(text).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal) + "$",
            RegexOptions.Singleline | RegexOptions.CultureInvariant);
}

/// <summary>The table of docs/xds-differences.md. The tool reads the page itself, so the page cannot be out of
/// date.</summary>
internal sealed class Explanations
{
    private static readonly string[] Head = ["id", "type", "resource", "field", "cases", "why"];

    private readonly List<Explanation> _rows = [];

    public IReadOnlyList<Explanation> Rows => _rows;

    public static Explanations Read(string page)
    {
        if (!File.Exists(page)) throw new ProblemException(page, "does not exist", "restore the page with its table of intended differences");
        var explained = new Explanations();
        var inside = false;
        foreach (var line in File.ReadLines(page))
        {
            var cells = line.StartsWith('|')
                ? line.Trim().Trim('|').Split('|').Select(cell => cell.Replace("`", "", StringComparison.Ordinal).Trim()).ToArray()
                : [];
            if (cells.SequenceEqual(Head)) inside = true;
            else if (cells.Length != Head.Length) inside = false;
            else if (inside && !cells[0].StartsWith('-')) explained._rows.Add(new(cells[0], cells[1], cells[2], cells[3], cells[4]));
        }
        return explained._rows.Count > 0 ? explained : throw new ProblemException(page, $"has no table with the columns {string.Join(", ", Head)}");
    }
}

/// <summary>Prints a row for each case, and the unexplained differences at the end.</summary>
internal sealed class Report(Explanations explained, bool verbose)
{
    private const int Shown = 110;

    private readonly Dictionary<(string Type, string Path, string Recorded, string Ours), (int Count, string Example)> _open = [];
    private readonly SortedSet<string> _problems = new(StringComparer.Ordinal);
    private int _unexplained;
    private bool _begun;

    public void Add(string name, IReadOnlyList<TypeResult> results, IEnumerable<string> problems)
    {
        if (!_begun) Console.WriteLine($"{"case",-68} {"type",-4} {"same",5} {"meant",6} {"open",5}  reasons");
        _begun = true;
        _problems.UnionWith(problems);
        foreach (var result in results)
        {
            var (intended, open) = (new SortedDictionary<string, int>(StringComparer.Ordinal), 0);
            foreach (var difference in result.Differences)
            {
                if (explained.Rows.FirstOrDefault(row => row.Covers(name, difference)) is { } row)
                {
                    row.Used++;
                    intended[row.Id] = intended.GetValueOrDefault(row.Id) + 1;
                    continue;
                }
                open++;
                var key = (difference.Type, difference.Path, difference.Recorded, difference.Ours);
                _open[key] = _open.TryGetValue(key, out var seen) ? (seen.Count + 1, seen.Example) : (1, $"{name} {difference.Resource}");
            }
            _unexplained += open;
            Console.WriteLine($"{name,-68} {result.Type,-4} {result.Same,5} {intended.Values.Sum(),6} {open,5}  {string.Join(' ', intended.Keys)}");
        }
    }

    /// <param name="all">Whether every case was compared. Then a row that explained nothing is out of date.</param>
    public int Finish(bool all)
    {
        foreach (var ((type, path, recorded, ours), (count, example)) in _open.OrderBy(item => item.Key.Type, StringComparer.Ordinal)
            .ThenBy(item => item.Key.Path, StringComparer.Ordinal))
        {
            Console.WriteLine($"open: {type} {path} ×{count}, first in {example}");
            if (recorded.Length > 0) Console.WriteLine($"      recorded {Cut(recorded)}");
            if (ours.Length > 0) Console.WriteLine($"      ours     {Cut(ours)}");
        }
        foreach (var problem in _problems) Console.WriteLine($"input: {problem}");
        var stale = all ? explained.Rows.Where(row => row.Used == 0).ToList() : [];
        if (stale.Count > 0) Console.WriteLine($"These rows of the page no longer explain anything: {string.Join(", ", stale)}");
        Console.WriteLine(_unexplained == 0 ? "Every difference is explained." : $"{_unexplained} differences are not explained.");
        return _unexplained == 0 && stale.Count == 0 ? 0 : 1;
    }

    private string Cut(string text) => verbose || text.Length <= Shown ? text : text[..Shown] + "…";
}
