using System.Globalization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>Names of Events: the object's name and the time in nanoseconds. Lists are ordered by name, and clients show
/// events of the same second in list order.</summary>
public static class EventNames
{
    private static long _last;

    /// <summary>Unique within a process.</summary>
    public static string Of(string about, DateTimeOffset now)
    {
        long last, mark;
        do
        {
            last = Interlocked.Read(ref _last);
            mark = Math.Max(last + 1, (now.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks) * TimeSpan.NanosecondsPerTick);
        }
        while (Interlocked.CompareExchange(ref _last, mark, last) != last);
        return string.Create(CultureInfo.InvariantCulture, $"{about}.{mark:x16}");
    }
}
