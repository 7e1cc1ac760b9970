using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Graph.Settings;

/// <summary>Kinds that a control plane neither reads nor writes (Istio: PILOT_IGNORE_RESOURCES, except those of PILOT_INCLUDE_RESOURCES).</summary>
/// <param name="Ignored">Resources, as in <c>sidecars.networking.istio.io</c>, or whole groups, as in <c>*.istio.io</c>.</param>
public sealed record IgnoredResources(ValueList<string> Ignored, ValueList<string> Included)
{
    private const string IgnoreVariable = "PILOT_IGNORE_RESOURCES", IncludeVariable = "PILOT_INCLUDE_RESOURCES", Everything = "*.";

    public static readonly IgnoredResources None = new([], []);

    // A mesh needs the others.
    private static readonly string[] Groups =
    [
        .. MeshApi.All.Where(kind => kind.Place != KindPlace.Nowhere && kind.Need != KindNeed.EveryCluster && kind.Group.Length > 0)
            .Select(kind => kind.IsIstio ? "istio.io" : kind.Group).Distinct(),
    ];

    public bool Has(ResourceKind kind) => Has(kind.Group, kind.Plural);

    /// <summary>What tells whoever writes an object of a kind that it has no effect here; null where it has one.</summary>
    /// <param name="kind">The kind as objects name it.</param>
    public Problem? NoteOn(string group, string kind) =>
        MeshApi.Istio.FirstOrDefault(known => known.Group == group && known.Kind == kind) is { } known && Has(group, known.Plural)
        ? new("", "", "", $"this control plane reads no objects of the kind {kind} ({IgnoreVariable}): it has no effect here",
            "take the kind out of the variable, or let another control plane read it", Severity.Warning)
        : null;

    /// <summary>The Gateway API is off, whatever is included.</summary>
    internal bool LeavesGatewayApi { get; init; }

    private bool Has(string group, string plural) =>
        (LeavesGatewayApi && group.StartsWith("gateway.networking.", StringComparison.Ordinal)) || Listed(group, plural);

    private bool Listed(string group, string plural) =>
        Ignored.Any(pattern => Matches(pattern, group, plural)) && !Included.Any(pattern => Matches(pattern, group, plural));

    /// <exception cref="ProblemException">An entry names no kind that can be ignored. Where a control plane knows resources of a group, another name is a slip:
    /// the kind that it means would still be read.</exception>
    internal static IgnoredResources Read(Func<string, string?> environment) => new(Read(environment, IgnoreVariable), Read(environment, IncludeVariable));

    private static ValueList<string> Read(Func<string, string?> environment, string variable)
    {
        var entries = (environment(variable) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).ToValueList();
        foreach (var entry in entries)
        {
            var group = entry[(entry.IndexOf('.', StringComparison.Ordinal) + 1)..];
            if (!entry.Contains('.', StringComparison.Ordinal) || !Groups.Any(known => group == known || group.EndsWith($".{known}", StringComparison.Ordinal)))
                throw new ProblemException(variable, $"'{entry}' names no kind that a control plane can do without",
                    $"name resources such as sidecars.networking.istio.io, or groups such as *.istio.io (groups: {string.Join(", ", Groups)})");
            if (entry.StartsWith(Everything, StringComparison.Ordinal)) continue;
            var name = entry[..^(group.Length + 1)];
            // Of the kinds that the Gateway API tries out, only some are read.
            var known = MeshApi.All.Where(kind => kind.Group == group && group != MeshApi.BackendTrafficPolicy.Group).Select(kind => kind.Plural).ToList();
            if (known.Count > 0 && !known.Contains(name))
                throw new ProblemException(variable, $"{group} has no resource '{name}'",
                    Spelling.Nearest(name, known) is { } near ? $"did you mean {near}.{group}?" : $"resources of {group}: {string.Join(", ", known)}");
        }
        return entries;
    }

    private static bool Matches(string pattern, string group, string plural) => pattern.StartsWith(Everything, StringComparison.Ordinal)
        ? group == pattern[Everything.Length..] || group.EndsWith(pattern[1..], StringComparison.Ordinal)
        : pattern == $"{plural}.{group}";
}
