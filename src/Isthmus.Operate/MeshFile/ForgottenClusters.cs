using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Operate.MeshFile;

/// <summary>Waits until the control planes of a cluster have forgotten others.</summary>
public sealed class ForgottenClusters(MeshQuery query, TimeSpan limit, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>One that is out of reach may still watch them, so it is asked until the limit.</summary>
    /// <returns>The control planes of which it is not known.</returns>
    /// <exception cref="ProblemException">One still watches a cluster, or none can be asked.</exception>
    public async Task<IReadOnlyList<Problem>> AwaitAsync(IReadOnlyCollection<string> leaving, string ofWhat, string remedy, CancellationToken stop)
    {
        var begun = time.GetTimestamp();
        while (true)
        {
            var isLast = time.GetElapsedTime(begun) > limit;
            try
            {
                var watched = await query.WatchedAsync(stop);
                var still = watched.Lines.Select(line => line.Id).FirstOrDefault(leaving.Contains);
                if (still is null && (watched.IsFinal || isLast)) return watched.Unknown;
                if (still is not null && isLast)
                    throw new ProblemException(ofWhat, $"still watches {still} after {limit.TotalSeconds:0} s", remedy);
            }
            catch (ProblemException) when (!isLast)
            {
                // None of them can be asked. One that is being replaced can soon.
            }
            await Task.Delay(Pause, time, stop);
        }
    }
}
