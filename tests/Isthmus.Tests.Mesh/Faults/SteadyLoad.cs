using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Faults;

/// <summary>One answer under load.</summary>
/// <param name="At">Since the load began.</param>
/// <param name="Version">The version that answered; empty when none did.</param>
/// <param name="Text">The caller's output.</param>
internal sealed record LoadAnswer(TimeSpan At, string Cluster, int Code, string Version, string Text);

/// <summary>25 requests per second from each cluster's caller, until stopped.</summary>
internal sealed class SteadyLoad : IAsyncDisposable
{
    private const int PerRound = 150;
    private const string Mark = "CODE ";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly LabRig _lab;
    private readonly CallPath _calls;
    private readonly long _begun = Stopwatch.GetTimestamp();
    private readonly ConcurrentQueue<LoadAnswer> _answers = [];
    private readonly Task[] _callers;
    private volatile bool _enough;

    /// <param name="clusters">The clusters of the callers; empty for every cluster. A caller needs its cluster's API server
    /// all the time.</param>
    internal SteadyLoad(LabRig lab, params string[] clusters) : this(lab, CallPath.Quickstart, clusters.Length == 0 ? MeshRig.Clusters : clusters)
    {
    }

    internal SteadyLoad(LabRig lab, CallPath calls, IEnumerable<string> clusters)
    {
        (_lab, _calls) = (lab, calls);
        _callers = [.. clusters.Select(cluster => Task.Run(() => CallAsync(cluster)))];
    }

    internal TimeSpan Now => Stopwatch.GetElapsedTime(_begun);

    /// <summary>Waits until a cluster's caller gets answers from exactly these versions: 20 answers in a row.</summary>
    /// <returns>When the first such answer came.</returns>
    internal async Task<TimeSpan> UntilHeardAsync(string cluster, TimeSpan cause, params string[] versions)
    {
        const int row = 20;
        var recent = await Eventually.AnswerAsync(
            () => Task.FromResult(_answers.Where(answer => answer.Cluster == cluster && answer.At > cause).ToList()),
            heard => heard.Count >= row && heard.TakeLast(row).Select(answer => answer.Version).Distinct().Order().SequenceEqual(versions),
            heard => $"{cluster} hears {string.Join(" and ", versions)} alone; last: {string.Join("; ", heard.TakeLast(row).Select(answer => answer.Text))}",
            Patience);
        return Since(recent, versions) - cause;
    }

    /// <summary>Ends after at least this many answers, and returns them all.</summary>
    internal async Task<IReadOnlyList<LoadAnswer>> FinishAsync(int atLeast)
    {
        await Eventually.AnswerAsync(() => Task.FromResult(_answers.Count), count => count >= atLeast || _callers.Any(caller => caller.IsCompleted),
            count => $"{count} answers instead of {atLeast}", 5 * Patience);
        _enough = true;
        await Task.WhenAll(_callers);
        return [.. _answers];
    }

    public async ValueTask DisposeAsync()
    {
        _enough = true;
        await Task.WhenAll(_callers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>A version is present from its first answer, or until the first answer after its last.</summary>
    private static TimeSpan Since(List<LoadAnswer> answers, string[] versions)
    {
        var lastOther = answers.FindLastIndex(answer => !versions.Contains(answer.Version));
        if (lastOther >= 0) return answers[lastOther + 1].At;
        return versions.Max(version => answers.First(answer => answer.Version == version).At);
    }

    private async Task CallAsync(string cluster)
    {
        while (!_enough)
        {
            using var process = _lab.BeginKubectl($"--context={cluster}", "-n", _calls.Namespace, "exec", _calls.Caller, "-c", _calls.Container, "--",
                "curl", "-sS", "-N", "-m", "10", "--rate", "25/s", "-w", Mark + @"%{http_code} %{time_total} %{errormsg}\n", $"{_calls.Url}?[1-{PerRound}]");
            process.StandardInput.Close();
            var errors = process.StandardError.ReadToEndAsync();
            var heard = 0;
            for (var body = ""; await process.StandardOutput.ReadLineAsync() is { } line;)
            {
                var mark = line.IndexOf(Mark, StringComparison.Ordinal);
                body += mark < 0 ? line : line[..mark];
                if (mark < 0) continue;
                var words = line[(mark + Mark.Length)..].Split(' ');
                _answers.Enqueue(new(Now, cluster, int.Parse(words[0], CultureInfo.InvariantCulture), Version(body), $"{body} {line[mark..]}"));
                body = "";
                heard++;
            }
            await process.WaitForExitAsync();
            Assert.True(heard == PerRound, $"{cluster}: {heard} of {PerRound} answers; {await errors}");
        }
    }

    /// <summary>"Hello version: v1, instance: …"</summary>
    private static string Version(string body) => body.Split("version: ") is [_, var rest] ? rest.Split(',')[0] : "";
}
