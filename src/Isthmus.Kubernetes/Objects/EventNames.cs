using System.Globalization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>Names of Events: that of the object and the time in nanoseconds. Lists are in the order of names, and clients show events of one second as they are listed.</summary>
public static class EventNames
{
    private static long _last;

    /// <summary>No two of one process are the same.</summary>
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
