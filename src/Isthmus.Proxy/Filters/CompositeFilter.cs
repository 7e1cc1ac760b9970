using Isthmus.Proxy.Policy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.HttpFilters.Composites;
using Isthmus.Wire.Envoy.XdsMatchers;

namespace Isthmus.Proxy.Filters;

/// <summary>What a composite filter runs for all requests of a route.</summary>
internal sealed record ComposedCheck(ExternalCheck Check) : IRouteOverride
{
    public bool IsForAll => true;
}

/// <summary>The checks that composite filters have made of a request.</summary>
internal sealed class ComposedChecks : IFilterState
{
    private readonly List<ExternalCheck> _asked = [];

    public void Add(ExternalCheck check) => _asked.Add(check);

    public bool Contains(ExternalCheck check) => _asked.Contains(check);

    public void Clear() => _asked.Clear();
}

/// <summary>A composite filter: what it runs, routes say.</summary>
internal sealed class CompositeFilter(string name) : RequestFilter(name)
{
    /// <summary>It is within a filter that has a matcher.</summary>
    public static readonly HttpFilterKind Kind = new HttpFilterKind(FilterKind<HttpFilters>.Of<ExtensionWithMatcher>("envoy.filters.http.match_delegate",
            static (around, name, into) =>
            {
                if (around is { Matcher: null, XdsMatcher: null } && around.ExtensionConfig?.TypedConfig.TryRead(out Composite _) == true)
                    into.Add(new CompositeFilter(name));
                else into.Refuse(name, "a matcher, or around another filter than a composite one");
            }))
        .ForRoutes<ExtensionWithMatcherPerRoute>((composed, name) =>
            Always(composed) is { } check ? new ComposedCheck(ExternalCheckDecoder.Decode(check, name, "")) : null);

    public override FilterSteps Steps => FilterSteps.Request;

    // Nearly no route has something to run.
    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        if (request.TakeRoute()?.Of(Name) is not ComposedCheck composed) return default;
        request.State<ComposedChecks>().Add(composed.Check);
        return composed.Check.IsFor(request.Metadata) ? AuthorizerFilter.AskAsync(composed.Check, null, request) : default;
    }

    public override bool HasMissed(FilteredRequest request, RouteSettings route) => route.Of(Name) is ComposedCheck composed
        && !(request.TryState<ComposedChecks>(out var asked) && asked.Contains(composed.Check));

    /// <summary>The check that it makes of every request of the route; null if it is anything else.</summary>
    private static ExtAuthz? Always(ExtensionWithMatcherPerRoute composed) =>
        composed.XdsMatcher is { MatcherTypeCase: Matcher.MatcherTypeOneofCase.None, OnNoMatch.Action.TypedConfig: { } action }
        && action.TryRead(out ExecuteFilterAction execute) && execute is { SamplePercent: null, TypedConfig.TypedConfig: { } filter }
        && filter.TryRead(out ExtAuthz check) ? check : null;
}
