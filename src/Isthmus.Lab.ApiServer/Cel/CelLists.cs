namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>The functions of lists, and of lists as sets.</summary>
internal static class CelLists
{
    private const int MaxRange = 100_000;

    public static readonly CelFunctionSet All = new CelFunctionSet()
        .Add<List<object?>>("isSorted", list => list.Zip(list.Skip(1)).All(pair => CelValues.Compare(pair.First, pair.Second) <= 0))
        .Add<List<object?>>("min", list => Extreme(list, largest: false))
        .Add<List<object?>>("max", list => Extreme(list, largest: true))
        .Add<List<object?>>("sum", list => list.Count == 0 ? 0L : list.Aggregate((sum, item) => CelValues.Apply("+", sum, item)))
        .Add("indexOf", 2,
            arguments => arguments[0] is List<object?> list
                ? (long)list.FindIndex(item => CelValues.Equal(item, arguments[1]))
                : throw CelFailureException.NoOverload())
        .Add("lastIndexOf", 2,
            arguments => arguments[0] is List<object?> list
                ? (long)list.FindLastIndex(item => CelValues.Equal(item, arguments[1]))
                : throw CelFailureException.NoOverload())
        .Add<List<object?>, long, long>("slice", Slice)
        .Add<List<object?>>("reverse", list => list.AsEnumerable().Reverse().ToList())
        .Add<List<object?>>("distinct", Distinct)
        .Add<List<object?>>("sort", Sorted)
        .Add<List<object?>>("flatten", list => list.SelectMany(item => item as List<object?> ?? [item]).ToList())
        .Add<List<object?>>("first", list => list.Count == 0 ? CelOptionalValue.None : CelOptionalValue.Of(list[0]))
        .Add<List<object?>>("last", list => list.Count == 0 ? CelOptionalValue.None : CelOptionalValue.Of(list[^1]))
        .Add<long>("lists.range",
            count => count is < 0 or > MaxRange
                ? throw CelFailureException.TooMuchWork()
                : Enumerable.Range(0, (int)count).Select(i => (object?)(long)i).ToList())
        .Add<List<object?>, List<object?>>("sets.contains", Holds)
        .Add<List<object?>, List<object?>>("sets.equivalent", (left, right) => Holds(left, right) is true && Holds(right, left) is true)
        .Add<List<object?>, List<object?>>("sets.intersects", (left, right) => Bounded(left, right).Any(item => Has(right, item)));

    public static object? Extreme(List<object?> list, bool largest)
    {
        if (list.Count == 0) throw new CelFailureException($"{(largest ? "max" : "min")} called on empty list");
        return list.Aggregate((best, item) => CelValues.Compare(item, best) > 0 == largest ? item : best);
    }

    private static List<object?> Sorted(List<object?> list)
    {
        try
        {
            return [.. list.Order(Comparer<object?>.Create(CelValues.Compare))];
        }
        catch (InvalidOperationException e) when (e.InnerException is CelFailureException failure)
        {
            throw new CelFailureException(failure.Message);
        }
    }

    private static object Slice(List<object?> list, long from, long to) =>
        from >= 0 && from <= to && to <= list.Count
            ? list[(int)from..(int)to]
            : throw new CelFailureException($"cannot slice({from}, {to}), list is of length {list.Count}");

    private static List<object?> Distinct(List<object?> list)
    {
        var kept = new List<object?>();
        foreach (var item in Bounded(list, list))
            if (!Has(kept, item)) kept.Add(item);
        return kept;
    }

    private static object Holds(List<object?> all, List<object?> some) => Bounded(some, all).All(item => Has(all, item));

    private static bool Has(List<object?> list, object? wanted) => list.Exists(item => CelValues.Equal(item, wanted));

    /// <summary>Every item of one list is compared with every item of the other.</summary>
    private static List<object?> Bounded(List<object?> list, List<object?> other) =>
        (long)list.Count * other.Count <= CelScope.MaxSteps ? list : throw CelFailureException.TooMuchWork();
}
