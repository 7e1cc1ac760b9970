using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Reports;

namespace Isthmus.Explain.WhatIf;

/// <summary>A proxy that would get another configuration.</summary>
public sealed record DiffedProxy(string Cluster, string Namespace, string Pod, string Workload);

/// <summary>Proxies for which the same would change.</summary>
/// <param name="Changes">What would change, in words.</param>
/// <param name="More">How many resources are not described.</param>
public sealed record DiffGroup(IReadOnlyList<DiffedProxy> Proxies, IReadOnlyList<ConfigChange> Changes, int More)
{
    /// <summary>The changes as text. Tables of an address and of a port have the same routes of a host, of which one line is enough.</summary>
    public IEnumerable<string> Lines => Changes.Select(change => $"{change.Sign} {change.Text}").Distinct();
}

/// <summary>What objects would change for the proxies of a mesh.</summary>
/// <param name="Connected">How many proxies the control planes were asked about.</param>
/// <param name="Unused">Objects that no control plane reads.</param>
public sealed record MeshDiff(IReadOnlyList<DiffGroup> Groups, int Connected, IReadOnlyList<string> Unused)
{
    /// <summary>A control plane makes the configuration of all its proxies for it, and only then answers.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>The control planes that cannot tell, because they are Istio's or older.</summary>
    public IReadOnlyList<Problem> Silent { get; init; } = [];

    /// <summary>Asks the control planes of all clusters what objects would change.</summary>
    /// <param name="target">The cluster that would get the objects.</param>
    /// <param name="all">The clusters of the mesh.</param>
    /// <param name="objects">Whole objects, as <see cref="DryRun"/> returns them.</param>
    /// <exception cref="ProblemException">A control plane does not answer: what its proxies would get is not known.</exception>
    public static async Task<MeshDiff> AskAsync(KubeClient target, IReadOnlyList<KubeClient> all, string istioNamespace, IReadOnlyList<JsonObject> objects,
        CancellationToken stop)
    {
        var cluster = await ClusterObjectsReader.WorkloadsAsync(target.Access.Name, new(target, stop), istioNamespace, stop);
        if (cluster.Error.Length > 0) throw new ProblemException($"cluster {target.Access.Name}", cluster.Error);
        var body = JsonSerializer.SerializeToNode(new PreviewQuestion(cluster.Id, objects), ControlPlaneReports.Default.PreviewQuestion)!.AsObject();
        var asked = (await Task.WhenAll(all.Select(client => AskAsync(client, istioNamespace, body, stop)))).SelectMany(answer => answer).ToList();
        var (answers, silent) = (asked.Select(answer => answer.Answer).OfType<PreviewReport>().ToList(),
            asked.Select(answer => answer.Unknown).OfType<Problem>().ToList());
        if (answers.Count == 0 && silent.Count > 0)
            throw new ProblemException(silent[0] with
            {
                Severity = Severity.Error, Remedy = "check the files with 'isthmus analyze', and with 'isthmus migrate check -f' before a move"
            });
        if (answers.Count == 0)
            throw new ProblemException("mesh", $"none of the clusters has a control plane in namespace {istioNamespace}",
                "list the contexts of the mesh with --contexts");
        var groups = answers.SelectMany(answer => answer.Groups ?? []).Select(Read)
            .Where(group => group.Changes.Count > 0 || group.More > 0);
        var unused = answers.Select(answer => (answer.Unused ?? []).AsEnumerable()).Aggregate((one, other) => one.Intersect(other));
        return new([.. groups], answers.Sum(answer => answer.Connected), [.. unused]) { Silent = silent };
    }

    private static async Task<IReadOnlyList<(PreviewReport? Answer, Problem? Unknown)>> AskAsync(KubeClient client, string ns, JsonObject body,
        CancellationToken stop)
    {
        var query = new MeshQuery(client, ns) { Patience = Patience };
        if (!await query.HasControlPlaneAsync(stop)) return [];
        var answers = await query.AskControlPlanesAsync(new PodRequest("POST", "/debug/preview", body), stop);
        return [.. answers.Select(answer => answer.As(ControlPlaneReports.Default.PreviewReport)).Select(answer => (answer.Page,
            answer.Page is null ? query.Unknown(answer.Plane, "what the files would change for its proxies") : null))];
    }

    private static DiffGroup Read(PreviewGroup group) => new(
        [.. (group.Proxies ?? []).Select(proxy => new DiffedProxy(proxy.Cluster, proxy.Namespace, proxy.Pod, proxy.Workload))],
        ResourceWords.Of([.. (group.Resources ?? []).Select(one => new ChangedResource(one.Type, one.Name, one.Before, one.After))]), group.More ?? 0);
}

/// <summary>A resource before and after.</summary>
/// <param name="Type"><c>listener</c>, <c>route</c>, <c>cluster</c> or <c>endpoints</c>.</param>
/// <param name="Before">Null: it would be added.</param>
/// <param name="After">Null: it would be removed.</param>
internal sealed record ChangedResource(string Type, string Name, JsonObject? Before, JsonObject? After);

/// <summary>One change in words.</summary>
/// <param name="Sign"><c>+</c> added, <c>-</c> removed, <c>~</c> changed.</param>
/// <param name="Resource">The resource of the proxy, as <c>route 80</c>.</param>
public sealed record ConfigChange(char Sign, string Resource, string Text);
