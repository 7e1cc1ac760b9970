using System.Text.Json.Nodes;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>Loops with two variables: the index and the item of a list, or the key and the value of a map.</summary>
internal static class CelPairs
{
    public static object Loop(CelPairLoop loop, object? over, CelScope scope)
    {
        var pairs = over switch
        {
            List<object?> list => list.Select((item, i) => (Key: (object?)(long)i, Item: item)).ToList(),
            JsonObject o => [.. o.Select(pair => ((object?)pair.Key, CelValues.Of(pair.Value)))],
            _ => throw CelFailureException.NoOverload(),
        };
        return loop.Kind switch
        {
            "all" => All(pairs, Holds),
            "exists" => Exists(pairs, Holds),
            "existsOne" => pairs.Count(Holds) == 1,
            "transformList" => Kept().Select(pair => loop.Body.Evaluate(Inner(pair))).ToList(),
            _ => new JsonObject(Kept().Select(pair => KeyValuePair.Create(CelConversions.Print(pair.Key), CelValues.ToJson(loop.Body.Evaluate(Inner(pair)))))),
        };

        CelScope Inner((object? Key, object? Item) pair) => scope.With(loop.Key, pair.Key).With(loop.Item, pair.Item);

        bool Holds((object? Key, object? Item) pair) => loop.Body.Truth(Inner(pair));

        IEnumerable<(object? Key, object? Item)> Kept() => pairs.Where(pair => loop.Filter is null || loop.Filter.Truth(Inner(pair)));
    }

    /// <summary>An item that fails does not matter when another one decides.</summary>
    public static bool All<T>(IEnumerable<T> items, Func<T, bool> holds) => !Decides(items, holds, false);

    /// <inheritdoc cref="All"/>
    public static bool Exists<T>(IEnumerable<T> items, Func<T, bool> holds) => Decides(items, holds, true);

    private static bool Decides<T>(IEnumerable<T> items, Func<T, bool> holds, bool decisive)
    {
        CelFailureException? failure = null;
        foreach (var item in items)
        {
            try
            {
                if (holds(item) == decisive) return true;
            }
            catch (CelFailureException e) when (!e.IsFinal)
            {
                failure ??= e;
            }
        }
        return failure is not null ? throw failure : false;
    }
}
