using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.ControlPlane.Settings;

/// <summary>Kinds that a control plane neither reads nor writes (Istio: PILOT_IGNORE_RESOURCES, except those of PILOT_INCLUDE_RESOURCES).</summary>
/// <param name="Ignored">Resources, as in <c>sidecars.networking.istio.io</c>, or whole groups, as in <c>*.istio.io</c>.</param>
public sealed record IgnoredResources(ValueList<string> Ignored, ValueList<string> Included)
{
    private const string IgnoreVariable = "PILOT_IGNORE_RESOURCES", IncludeVariable = "PILOT_INCLUDE_RESOURCES", Everything = "*.";

    public static readonly IgnoredResources None = new([], []);

    // A mesh needs the others. Settings written for Istio may also name the experimental kinds of the Gateway API, which control planes do not read.
    private static readonly string[] Groups =
    [
        .. MeshApi.All.Where(kind => kind.Place != KindPlace.Nowhere && kind.Need != KindNeed.EveryCluster && kind.Group.Length > 0)
            .Select(kind => kind.IsIstio ? "istio.io" : kind.Group).Append("gateway.networking.x-k8s.io").Distinct(),
    ];

    public bool Has(ResourceKind kind) => Ignored.Any(pattern => Matches(pattern, kind)) && !Included.Any(pattern => Matches(pattern, kind));

    /// <exception cref="ProblemException">An entry names no kind that can be ignored.</exception>
    internal static IgnoredResources Read(Func<string, string?> environment) => new(Read(environment, IgnoreVariable), Read(environment, IncludeVariable));

    private static ValueList<string> Read(Func<string, string?> environment, string variable)
    {
        var entries = (environment(variable) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).ToValueList();
        foreach (var entry in entries)
        {
            var group = entry[(entry.IndexOf('.', StringComparison.Ordinal) + 1)..];
            if (!entry.Contains('.', StringComparison.Ordinal) || !Groups.Any(known => group == known || group.EndsWith($".{known}", StringComparison.Ordinal)))
                throw new ProblemException(variable, $"'{entry}' names no kind that a control plane can do without", $"name resources such as sidecars.networking.istio.io, or groups such as *.istio.io (groups: {string.Join(", ", Groups)})");
        }
        return entries;
    }

    private static bool Matches(string pattern, ResourceKind kind) => pattern.StartsWith(Everything, StringComparison.Ordinal)
        ? kind.Group == pattern[Everything.Length..] || kind.Group.EndsWith(pattern[1..], StringComparison.Ordinal)
        : pattern == $"{kind.Plural}.{kind.Group}";
}
