using System.Collections;

namespace Isthmus.Proxy.Filters;

/// <summary>A filter of HTTP as a listener lists it.</summary>
/// <param name="IsOff">It is on only for routes that switch it on, or configure it.</param>
internal readonly record struct ListedFilter(RequestFilter Filter, bool IsOff = false)
{
    public string Name => Filter.Name;

    /// <param name="switches">What the route says that the request has at first; null if there is no route.</param>
    public bool IsOn(IReadOnlyDictionary<string, bool>? switches) => switches is not null && switches.TryGetValue(Name, out var isOn) ? isOn : !IsOff;
}

/// <summary>The HTTP filters of a listener in their order, and which of them have something to do at which step.</summary>
internal sealed class FilterList : IReadOnlyList<ListedFilter>
{
    private readonly ListedFilter[] _all;

    public FilterList(params IEnumerable<ListedFilter> all)
    {
        _all = [.. all];
        (Arrivals, Requests, Forwards) = (With(FilterSteps.Arrival), With(FilterSteps.Request), With(FilterSteps.Forward));
        (Answers, Responses) = (With(FilterSteps.Answer), With(FilterSteps.Response));
        // Responses meet filters the other way round.
        Array.Reverse(Answers);
        Array.Reverse(Responses);
        HasOff = Array.Exists(_all, listed => listed.IsOff);
    }

    public ListedFilter[] Arrivals { get; }

    public ListedFilter[] Requests { get; }

    public ListedFilter[] Forwards { get; }

    /// <summary>From the last one to the first.</summary>
    public ListedFilter[] Answers { get; }

    /// <summary>From the last one to the first.</summary>
    public ListedFilter[] Responses { get; }

    /// <summary>Some filter is on only where a route says so.</summary>
    public bool HasOff { get; }

    public int Count => _all.Length;

    public ListedFilter this[int index] => _all[index];

    /// <summary>Those that do not depend on routes, and then that filter alone.</summary>
    public FilterList Only(RequestFilter filter) => new([.. Arrivals, new(filter)]);

    /// <summary>Null if there is none.</summary>
    public T? Find<T>() where T : RequestFilter => _all.Select(listed => listed.Filter).OfType<T>().FirstOrDefault();

    public IEnumerator<ListedFilter> GetEnumerator() => ((IEnumerable<ListedFilter>)_all).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private ListedFilter[] With(FilterSteps step) => Array.FindAll(_all, listed => listed.Filter.Steps.HasFlag(step));
}
