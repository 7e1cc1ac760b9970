using Google.Protobuf.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Wire.Envoy.HttpFilters.HeaderMutations;
using HeaderMutation = Isthmus.Wire.Envoy.Mutations.HeaderMutation;
using HeaderMutationConfig = Isthmus.Wire.Envoy.HttpFilters.HeaderMutations.HeaderMutation;

namespace Isthmus.Proxy.Filters;

/// <summary>The edits of a table, a virtual host and a route, in this order; each entry removes before it adds.</summary>
internal sealed record RouteEdits(IReadOnlyList<IReadOnlyList<HeaderEdits>> Levels) : IRouteOverride
{
    public bool Adds => true;

    public IRouteOverride After(IRouteOverride before) => before is RouteEdits edits ? new RouteEdits([.. edits.Levels, .. Levels]) : this;
}

/// <summary>A header_mutation filter: it edits the fields of requests and of all responses, also of those that the proxy itself gives.</summary>
/// <param name="own">The edits for all routes.</param>
/// <param name="specificWins">The edits of a route come after those of its virtual host and its table, not before.</param>
internal sealed class HeaderMutationFilter(string name, IReadOnlyList<HeaderEdits> own, bool specificWins) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<HeaderMutationConfig>("envoy.filters.http.header_mutation",
            (config, from) => new HeaderMutationFilter(from.Name, Decode(config.Mutations, from.Notes), config.MostSpecificHeaderMutationsWins))
        .ForRoutes<HeaderMutationPerRoute>((config, _, notes) => new RouteEdits([Decode(config.Mutations, notes)]), isForShares: true);

    public override FilterSteps Steps => FilterSteps.Request | FilterSteps.Response;

    public override bool IsPolicy => false;

    public override bool TakesShares => true;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        foreach (var edits in For(request)) request.Edit(edits);
        return default;
    }

    public override void OnResponse(FilteredRequest request)
    {
        foreach (var edits in For(request)) request.EditResponse(edits);
    }

    private IEnumerable<HeaderEdits> For(FilteredRequest request)
    {
        // The route is that of the request as it came: edits choose no other one.
        var levels = (request.TakeRoute()?.Of(Name) as RouteEdits)?.Levels ?? [];
        foreach (var edits in own) yield return edits;
        var ofShare = (request.OfShare(Name) as RouteEdits)?.Levels[0] ?? [];
        if (!specificWins)
            foreach (var edits in ofShare) yield return edits;
        // From the table to the route.
        for (var i = 0; i < levels.Count; i++)
            foreach (var edits in levels[specificWins ? i : levels.Count - 1 - i]) yield return edits;
        if (!specificWins) yield break;
        foreach (var edits in ofShare) yield return edits;
    }

    /// <exception cref="ResourceException">An edit that this proxy does not have, or that nobody may make.</exception>
    private static List<HeaderEdits> Decode(Mutations? mutations, List<string> notes)
    {
        if (mutations is null) return [];
        if (mutations.QueryParameterMutations.Count > 0) throw Unsupported("query_parameter_mutations");
        if (mutations.ResponseTrailersMutations.Count > 0) throw Unsupported("response_trailers_mutations");
        if (mutations.RequestTrailersMutations.Count > 0) throw Unsupported("request_trailers_mutations");
        return [.. Runs(mutations.RequestMutations).Select(run => HeadDecoder.Edits(run.Added, run.Removed, [], [], notes)),
            .. Runs(mutations.ResponseMutations).Select(run => HeadDecoder.Edits([], [], run.Added, run.Removed, notes))];
    }

    /// <summary>Fields to remove, and then those to add, again and again.</summary>
    private static List<(List<string> Removed, List<Wire.Envoy.HeaderValueOption> Added)> Runs(RepeatedField<HeaderMutation> mutations)
    {
        List<(List<string> Removed, List<Wire.Envoy.HeaderValueOption> Added)> runs = [];
        foreach (var mutation in mutations)
        {
            var isRemoval = mutation.ActionCase == HeaderMutation.ActionOneofCase.Remove;
            if (!isRemoval && mutation.ActionCase != HeaderMutation.ActionOneofCase.Append)
                throw Unsupported(mutation.ActionCase switch
                {
                    HeaderMutation.ActionOneofCase.RemoveOnMatch => "remove_on_match",
                    HeaderMutation.ActionOneofCase.RegexCopy => "regex_copy",
                    _ => "a mutation without an action",
                });
            if (runs.Count == 0 || (isRemoval && runs[^1].Added.Count > 0)) runs.Add(([], []));
            if (isRemoval) runs[^1].Removed.Add(mutation.Remove);
            else runs[^1].Added.Add(mutation.Append);
        }
        return runs;
    }

    private static ResourceException Unsupported(string what) => new($"header_mutation: {what} is not supported");
}
