namespace Isthmus.ControlPlane.LastKnown;

/// <summary>
/// Limits the write rate: a few changes in a row are written at once, so that the stored state is never far behind while a cluster
/// starts; constant changes are written only once in <paramref name="interval"/>.
/// </summary>
/// <param name="burst">How many writes may come in a row.</param>
internal sealed class WritePace(TimeSpan interval, int burst)
{
    /// <summary>When the next write would be due if all previous ones had kept the interval.</summary>
    private DateTimeOffset _due = DateTimeOffset.MinValue;

    internal bool Allows(DateTimeOffset now) => _due <= now + interval * (burst - 1);

    /// <param name="parts">A large one counts as so many.</param>
    internal void Wrote(DateTimeOffset now, int parts) => _due = (_due > now ? _due : now) + interval * Math.Max(1, parts);
}
