using Isthmus.Core.Collections;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Which routes of a VirtualService the caller's proxy never gets: their matches ask for another caller, another port or a gateway.</summary>
internal static class CallerRoutes
{
    private const string Sidecars = "mesh";

    /// <param name="Field">Within the match.</param>
    /// <param name="Wanted">What the match asks for.</param>
    /// <param name="Has">What the call has.</param>
    /// <param name="Remedy">Empty: nothing in particular.</param>
    internal sealed record Exclusion(string Field, string Wanted, string Has, string Remedy)
    {
        public RouteMiss Miss => new(Field, $"{Field} {Wanted}, and {Has}", Remedy);
    }

    /// <summary>Why the caller's proxy has no route of any of the VirtualServices; null when one has a route for it.</summary>
    public static (VirtualService Service, string Field, Exclusion Why)? NoneFor(TracedCall call, IEnumerable<VirtualService> services)
    {
        (VirtualService Service, string Field, Exclusion Why)? first = null;
        foreach (var service in services)
        {
            for (var i = 0; i < service.Http.Count; i++)
            {
                var matches = service.Http[i].Matches;
                if (matches.IsEmpty) return null;
                for (var j = 0; j < matches.Count; j++)
                {
                    if (Excludes(matches[j], call) is not { } why) return null;
                    first ??= (service, $"spec.http[{i}].match[{j}].{why.Field}", why);
                }
            }
        }
        return first;
    }

    /// <summary>What of a match excludes every such call of the caller, or of the gateway at which the call enters; null when nothing does.</summary>
    public static Exclusion? Excludes(HttpMatch match, TracedCall call)
    {
        if (call.Admitted is null)
        {
            if (!match.Gateways.IsEmpty && !match.Gateways.Contains(Sidecars))
                return new("gateways", string.Join(", ", match.Gateways), $"the call is made by a sidecar ({Sidecars})", "");
            if (match.Port != 0 && match.Port != call.Port) return new("port", $"{match.Port}", $"the call is for port {call.Port} of the host", "");
            return OfSource(match, call.Facts.ClientPod, "the caller");
        }
        if (call.Admitted.Doors is not [var door, ..] doors) return null;
        var named = match.Gateways.IsEmpty ? doors : [.. doors.Where(one => match.Gateways.Contains(one.Gateway))];
        if (named.Count == 0)
            return new("gateways", string.Join(", ", match.Gateways), $"the call enters by Gateway {door.Gateway}",
                $"add {door.Gateway} to gateways of the match");
        if (match.Port != 0 && named.All(one => one.Port != match.Port))
            return new("port", $"{match.Port}", $"the call enters at port {named[0].Port} of Gateway {named[0].Gateway}", $"write {named[0].Port} there");
        return OfSource(match, call.Facts.ClientPod, "the gateway, for which only what it has itself counts,");
    }

    private static Exclusion? OfSource(HttpMatch match, Pod caller, string who)
    {
        if (match.SourceNamespace.Length > 0 && match.SourceNamespace != caller.Metadata.Namespace)
            return new("sourceNamespace", match.SourceNamespace, $"{who} is in {caller.Metadata.Namespace}", "");
        return Selectors.Matches(match.SourceLabels, caller.Metadata.Labels.ToValueMap()) ? null
            : new("sourceLabels", string.Join(", ", match.SourceLabels.Select(pair => $"{pair.Key}={pair.Value}")), $"{who} has other labels", "");
    }
}
