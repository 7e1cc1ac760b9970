using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose.History;

/// <summary>A control plane that remembers changes.</summary>
/// <param name="Since">Since when; null if it is not ready yet.</param>
/// <param name="Forgotten">How many changes it dropped because there were too many.</param>
public sealed record Rememberer(string Context, string Pod, DateTimeOffset? Since, long Forgotten)
{
    /// <summary>The name of its cluster in the mesh.</summary>
    public string Cluster { get; init; } = "";

    /// <summary>When this Pod began to remember; it has what is older from earlier Pods. Null: it has nothing from others.</summary>
    public DateTimeOffset? Restarted { get; init; }
}

/// <summary>A control plane that keeps no history: it is not of Isthmus, or older than this command.</summary>
/// <param name="Why">Which of these, as what follows its name.</param>
/// <param name="Problem">Says so, and what to use instead.</param>
public sealed record Forgetter(string Context, string Pod, string Why, Problem Problem);

/// <summary>What to ask control planes for.</summary>
/// <param name="Host">Only what concerns this host; empty: everything.</param>
/// <param name="Pod">Only what concerns this Pod, as NAMESPACE/NAME; empty: everything.</param>
/// <param name="Since">How far back.</param>
public sealed record HistoryQuestion(string Host, string Pod, TimeSpan Since)
{
    internal string Path =>
        string.Create(CultureInfo.InvariantCulture,
            $"/debug/history?host={Uri.EscapeDataString(Host)}&pod={Uri.EscapeDataString(Pod)}&since={(long)Since.TotalSeconds}s");
}

/// <summary>What the control planes of a mesh remember, oldest change first.</summary>
/// <param name="WithoutHistory">Control planes that answered that they have none.</param>
/// <param name="Silent">Control planes, and clusters, that did not answer, and why.</param>
public sealed record MeshHistory(IReadOnlyList<MeshChange> Changes, IReadOnlyList<Rememberer> ControlPlanes, IReadOnlyList<Forgetter> WithoutHistory,
    IReadOnlyList<Problem> Silent)
{
    /// <summary>What tells of changes where control planes do not.</summary>
    public const string Instead =
        "'kubectl get KIND NAME -o yaml --show-managed-fields' says who last wrote each field of an object, and when; the audit log of the API server has all "
            + "writes";

    private const string Seen = "which changes it saw";

    /// <summary>Asks the control planes of all clusters that have one.</summary>
    public static async Task<MeshHistory> AskAsync(IEnumerable<(KubeClient Client, string Namespace)> places, HistoryQuestion question, CancellationToken stop)
    {
        var answers = await Task.WhenAll(places.Select(place => AskAsync(place.Client, place.Namespace, question.Path, stop)));
        var pages = answers.SelectMany(answer => answer.Pages).ToList();
        return new(
            MergedChanges.Of(pages.SelectMany(page => (page.Answer.Changes ?? []).Select(line => MeshChange.Read(line, page.Pod, page.Answer.Cluster)))),
            [.. pages.Select(page => new Rememberer(page.Context, page.Pod, page.Answer.Since, page.Answer.Forgotten ?? 0)
            {
                Cluster = page.Answer.Cluster, Restarted = page.Answer.Restarted,
            })],
            [.. answers.SelectMany(answer => answer.Without)], [.. answers.SelectMany(answer => answer.Silent)]);
    }

    /// <summary>With who scaled or rolled out the workloads behind endpoints, as far as their objects tell.</summary>
    public async Task<MeshHistory> NameWritersAsync(IEnumerable<KubeClient> clients, WorkloadLists lists, CancellationToken stop)
    {
        var answering = clients.Where(client => !Silent.Any(problem => problem.Object == $"cluster {client.Access.Name}"));
        var named = await Task.WhenAll(answering.Select(async client =>
            (Cluster: ControlPlanes.FirstOrDefault(plane => plane.Context == client.Access.Name)?.Cluster ?? await RemoteNames.OfAsync(client, stop),
            Client: client)));
        var byName = named.Where(one => one.Cluster.Length > 0).DistinctBy(one => one.Cluster)
            .ToDictionary(one => one.Cluster, one => one.Client, StringComparer.Ordinal);
        return this with { Changes = await WorkloadWrites.NameAsync(Changes, byName, lists, stop) };
    }

    /// <summary>With the writes of workloads, which control planes do not watch, as changes of their own.</summary>
    /// <param name="places">The namespaces whose workloads are asked for, with the names of their clusters in the mesh.</param>
    public async Task<MeshHistory> WithWorkloadsAsync(IEnumerable<(KubeClient Client, string Cluster, string Namespace)> places, WorkloadLists lists,
        DateTimeOffset since, CancellationToken stop)
    {
        var read = (await Task.WhenAll(places.Select(place => (place.Client, Place: (place.Cluster, place.Namespace))).DistinctBy(one => one.Place)
            .Select(async one => (one.Place, Objects: await lists.OfAsync(one.Client, one.Place.Cluster, one.Place.Namespace, stop)))))
            .ToDictionary(one => one.Place, one => one.Objects);
        var believed = ToldWrites.Believed(Changes, change => read.GetValueOrDefault((change.Cluster, change.Namespace)));
        var written = read.SelectMany(one => WorkloadWrites.Of(one.Key.Cluster, one.Value, since))
            .Where(write => !believed.Any(change => ToldWrites.IsSame(change, write)));
        return this with { Changes = [.. believed.Concat(written).OrderBy(change => change.Last)] };
    }

    private static async Task<(IReadOnlyList<(string Context, string Pod, HistoryReport Answer)> Pages, IReadOnlyList<Forgetter> Without,
        IReadOnlyList<Problem> Silent)> AskAsync(KubeClient client,
        string ns, string path, CancellationToken stop)
    {
        var context = client.Access.Name;
        try
        {
            var query = new MeshQuery(client, ns);
            // A remote cluster has no control plane of its own.
            if (!await query.HasControlPlaneAsync(stop)) return ([], [], []);
            var answers = await query.AskControlPlanesAsync(path, ControlPlaneReports.Default.HistoryReport, stop);
            return ([.. answers.Where(answer => answer.Page is not null).Select(answer => (context, answer.Plane.Pod, answer.Page!))],
                [.. answers.Select(answer => answer.Plane).Where(plane => plane.IsForeign)
                    .Select(plane => new Forgetter(context, plane.Pod, plane.Why, query.Unknown(plane, Seen, Instead)))],
                [.. answers.Where(answer => answer.Page is null && !answer.Plane.IsForeign)
                    .Select(answer => query.Unknown(answer.Plane, Seen) with { Severity = Severity.Error })]);
        }
        catch (ProblemException e)
        {
            return ([], [], [e.Problem]);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return ([], [], [new ProblemException($"cluster {context}", e is HttpRequestException http ? Unreachable.Describe(http) : e.Message).Problem]);
        }
    }
}
