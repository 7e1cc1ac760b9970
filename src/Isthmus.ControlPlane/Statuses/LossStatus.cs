using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Losses;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>Keeps a condition in the status of each Telemetry whose spans, access logs or metrics proxies lose at present.</summary>
public sealed class LossStatus(KubeClient client, PushEngine engine, TimeProvider time, ILogger log)
{
    internal const string Type = "Delivered", Reason = "TelemetryLost";

    /// <summary>Proxies come and go, and collectors with them: objects are not written for each.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

    private readonly SharedCondition _condition = new(client, TelemetryStatus.Telemetry, (Type, Reason), time, log);

    public Task RunAsync(CancellationToken stop) => new Rounds(time, Pause).AfterAsync(
        [new(tell => engine.LossesChanged += tell, tell => engine.LossesChanged -= tell)], UpdateAsync, stop);

    internal async Task<NextRound> UpdateAsync(CancellationToken stop)
    {
        var losing = engine.Losing();
        var (view, names) = await engine.AskAsync(writer => engine.IsReady
            ? (writer.Mesh.View(), writer.Mesh.Sources.Telemetries.Items.Values.Select(item => $"{item.Namespace}/{item.Name}").ToList()) : default, stop)
            .ConfigureAwait(false);
        if (view is null) return NextRound.Soon;
        var problems = LossProblems.Of(view, losing, "").ToLookup(problem => problem.Problem.Object, StringComparer.Ordinal);
        var next = await _condition.UpdateAsync(names.Distinct()
            .ToDictionary(name => name, name => Wanted([.. problems[$"{TelemetryStatus.Telemetry.Kind} {name}"]]), StringComparer.Ordinal),
            stop)
            .ConfigureAwait(false);
        // Nobody tells of a new Telemetry that a known loss concerns.
        return next.Or(new(SharedCondition.Renewal));
    }

    private static WantedCondition Wanted(IReadOnlyList<LossProblem> problems) => problems.Count == 0 ? WantedCondition.None : new(
        string.Join("; ", problems.Select(problem => $"{problem.Problem.Path}: {problem.Cause}")),
        string.Join("; ", problems.Select(problem => $"{problem.Problem.Code} {problem.Problem.Path}: {problem.Problem.Message} ({problem.Problem.Remedy})")));
}
