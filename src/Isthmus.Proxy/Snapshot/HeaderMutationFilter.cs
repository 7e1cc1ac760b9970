using System.Diagnostics.CodeAnalysis;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters.HeaderMutations;
using HeaderMutation = Isthmus.Wire.Envoy.Mutations.HeaderMutation;

namespace Isthmus.Proxy.Snapshot;

/// <summary>A header_mutation filter: it edits the fields of requests and of all responses, also of those that the proxy itself gives.</summary>
/// <param name="name">By which routes add edits of their own.</param>
/// <param name="own">The edits for all routes.</param>
/// <param name="specificWins">The edits of a route come after those of its virtual host and its table, not before.</param>
internal sealed class HeaderMutationFilter(string name, IReadOnlyList<HeaderEdits> own, bool specificWins) : AccessFilter
{
    /// <summary>The edits of a request and its response, in their order; each entry removes before it adds.</summary>
    /// <param name="share">The cluster of several that the request goes to; null: the route has no such.</param>
    public IEnumerable<HeaderEdits> For(RouteSnapshot? route, WeightedTarget? share)
    {
        foreach (var edits in own) yield return edits;
        var ofShare = share?.Mutations?.GetValueOrDefault(name) ?? [];
        if (!specificWins)
            foreach (var edits in ofShare) yield return edits;
        // From the table to the route.
        var levels = route?.Mutations.GetValueOrDefault(name) ?? [];
        for (var i = 0; i < levels.Count; i++)
            foreach (var edits in levels[specificWins ? i : levels.Count - 1 - i]) yield return edits;
        if (!specificWins) yield break;
        foreach (var edits in ofShare) yield return edits;
    }

    /// <summary>Whether a share of the route has edits of its own, which switch a filter on that is off for the route.</summary>
    public bool HasOwn(WeightedTarget? share) => share?.Mutations?.ContainsKey(name) == true;

    /// <summary>What a share of a route adds to filters, by their names; null for nothing.</summary>
    /// <inheritdoc cref="Decode"/>
    public static Dictionary<string, IReadOnlyList<HeaderEdits>>? Of(MapField<string, Any> filters, List<string> notes)
    {
        Dictionary<string, IReadOnlyList<HeaderEdits>>? found = null;
        foreach (var (name, any) in filters)
            if (TryRead(any, out var edits)) (found ??= new(StringComparer.Ordinal))[name] = Decode(edits.Mutations, notes);
        return found;
    }

    /// <summary>Whether a configuration is for a filter of this kind.</summary>
    public static bool IsOne(Any any) => TryRead(any, out _);

    private static bool TryRead(Any any, [NotNullWhen(true)] out HeaderMutationPerRoute? edits)
    {
        edits = TypedConfigs.TryForRoute(any, out var form, out var config, out _) && form == RouteForm.Own && config.TryRead(out HeaderMutationPerRoute read)
            ? read : null;
        return edits is not null;
    }

    /// <exception cref="ResourceException">An edit that this proxy does not have, or that nobody may make.</exception>
    public static List<HeaderEdits> Decode(Mutations? mutations, List<string> notes)
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
