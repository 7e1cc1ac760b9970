using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Which routes of a VirtualService the caller's proxy never gets: their matches ask for another caller, another port or a gateway.</summary>
internal static class CallerRoutes
{
    private const string Sidecars = "mesh";

    /// <summary>Why the caller's proxy has no route of any of the VirtualServices; null when one has a route for it.</summary>
    public static (VirtualService Service, string Field, string Why)? NoneFor(Pod caller, int port, IEnumerable<VirtualService> services)
    {
        (VirtualService Service, string Field, string Why)? first = null;
        foreach (var service in services)
        {
            for (var i = 0; i < service.Http.Count; i++)
            {
                var matches = service.Http[i].Matches;
                if (matches.IsEmpty) return null;
                for (var j = 0; j < matches.Count; j++)
                {
                    var (field, why) = Excludes(matches[j], caller, port);
                    if (field.Length == 0) return null;
                    first ??= (service, $"spec.http[{i}].match[{j}].{field}", why);
                }
            }
        }
        return first;
    }

    /// <summary>What of a match excludes every call of a caller to a port; empty when nothing does.</summary>
    public static (string Field, string Why) Excludes(HttpMatch match, Pod caller, int port)
    {
        if (!match.Gateways.IsEmpty && !match.Gateways.Contains(Sidecars)) return ("gateways",
            $"is {string.Join(", ", match.Gateways)}, and the call is made by a sidecar ({Sidecars})");
        if (match.Port != 0 && match.Port != port) return ("port", $"is {match.Port}, and the call is for port {port} of the host");
        if (match.SourceNamespace.Length > 0 && match.SourceNamespace != caller.Metadata.Namespace)
            return ("sourceNamespace", $"is {match.SourceNamespace}, and the caller is in {caller.Metadata.Namespace}");
        return Selectors.Matches(match.SourceLabels, caller.Metadata.Labels.ToValueMap()) ? ("", "")
            : ("sourceLabels", $"is {string.Join(", ", match.SourceLabels.Select(pair => $"{pair.Key}={pair.Value}"))}, and the caller has other labels");
    }
}
