using Isthmus.ControlPlane.Push;
using Isthmus.Core.Tasks;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>When a round has to run again if nothing changes before.</summary>
/// <param name="After">Null: never, only a change can make another one necessary.</param>
/// <param name="NotBefore">Even changes do not start it earlier.</param>
internal readonly record struct NextRound(TimeSpan? After, TimeSpan NotBefore = default)
{
    /// <summary>All is done.</summary>
    public static readonly NextRound AtChange = new(null);

    /// <summary>Something could not be done now.</summary>
    public static readonly NextRound Soon = new(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5));

    public static NextRound At(DateTimeOffset due, DateTimeOffset now) => new(due > now ? due - now : TimeSpan.Zero);

    /// <summary>The earlier of the two, but not before both may start.</summary>
    public NextRound Or(NextRound other) =>
        new(other.After is { } theirs && !(After <= theirs) ? theirs : After, NotBefore > other.NotBefore ? NotBefore : other.NotBefore);
}

/// <summary>An event after which a round runs.</summary>
internal readonly record struct Trigger(Action<Action> Add, Action<Action> Remove)
{
    /// <summary>The mesh has changed.</summary>
    public static Trigger Commit(PushEngine engine) => new(tell => engine.Committed += tell, tell => engine.Committed -= tell);

    /// <summary>What proxies get was made.</summary>
    public static Trigger Publication(PushEngine engine) => new(tell => engine.Published += tell, tell => engine.Published -= tell);
}

/// <summary>Work that changes make necessary: it runs at once, and for changes that follow quickly, after a pause.</summary>
/// <param name="pause">Null: a second.</param>
internal sealed class Rounds(TimeProvider time, TimeSpan? pause = null)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Signal _due = new();

    /// <summary>Something has changed. From any thread.</summary>
    public void Tell() => _due.Tell();

    /// <summary>Runs a first round, and another after each of the events.</summary>
    /// <inheritdoc cref="RunAsync"/>
    public async Task AfterAsync(IReadOnlyList<Trigger> triggers, Func<CancellationToken, Task<NextRound>> round, CancellationToken stop)
    {
        foreach (var trigger in triggers) trigger.Add(Tell);
        try
        {
            await RunAsync(round, stop).ConfigureAwait(false);
        }
        finally
        {
            foreach (var trigger in triggers) trigger.Remove(Tell);
        }
    }

    /// <summary>Runs a first round, and another after changes, or when a round says so.</summary>
    /// <param name="round">Does the work.</param>
    /// <param name="stop">Ends it, and the running round.</param>
    public async Task RunAsync(Func<CancellationToken, Task<NextRound>> round, CancellationToken stop)
    {
        await using var again = time.CreateTimer(_ => Tell(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        Tell();
        while (true)
        {
            await _due.NextAsync(stop).ConfigureAwait(false);
            var next = await round(stop).ConfigureAwait(false);
            again.Change(next.After ?? Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            var rest = pause ?? Pause;
            await Task.Delay(next.NotBefore > rest ? next.NotBefore : rest, time, stop).ConfigureAwait(false);
        }
    }
}
