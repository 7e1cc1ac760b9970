using System.Text;

namespace Isthmus.Lab.Nodes.Logs;

/// <summary>What of a log is asked for (core/v1 PodLogOptions).</summary>
/// <param name="Tail">At most so many lines from the end.</param>
internal sealed record LogQuery(bool Follow, long? Tail, DateTimeOffset? Since, bool Timestamps, long? LimitBytes);

/// <summary>Reads a log, across rotated files, as text again.</summary>
internal static class LogReader
{
    /// <param name="live">The log that is still written, when it is; needed to follow.</param>
    internal static async Task CopyAsync(string path, LogFile? live, LogQuery query, Stream to, CancellationToken stop)
    {
        var left = query.LimitBytes ?? long.MaxValue;
        var skip = query.Tail is { } tail ? Math.Max(0, CountLines(path) - tail) : 0;
        var rotations = live?.Rotations ?? 0;
        var files = LogFile.Files(path);
        FileStream? current = null;
        try
        {
            foreach (var file in files)
            {
                if (current is not null) await current.DisposeAsync();
                current = Open(file);
                (skip, left) = await CopyFileAsync(current, query, to, skip, left, stop);
            }
            await to.FlushAsync(stop);
            if (query.Follow && live is not null) await FollowAsync(path, live, rotations, current, query, to, left, stop);
        }
        finally
        {
            if (current is not null) await current.DisposeAsync();
        }
    }

    private static async Task FollowAsync(
        string path, LogFile live, int rotations, FileStream? current, LogQuery query, Stream to, long left, CancellationToken stop)
    {
        var (mine, read) = (current, rotations);
        while (left > 0)
        {
            // Taken before reading: what changes meanwhile is seen in the next round.
            var (changed, complete, now) = (live.Changed, live.IsComplete, live.Rotations);
            if (mine is not null) (_, left) = await CopyFileAsync(mine, query, to, 0, left, stop);
            for (; read < now && left > 0; read++)
            {
                // It was rotated, so the old file has just been read to its end: go on with the next one.
                if (mine is not null && mine != current) await mine.DisposeAsync();
                var next = now - read - 1 > 0 ? $"{path}.{now - read - 1}" : path;
                mine = File.Exists(next) ? Open(next) : null;
                if (mine is not null) (_, left) = await CopyFileAsync(mine, query, to, 0, left, stop);
            }
            await to.FlushAsync(stop);
            if (complete) break;
            await changed.WaitAsync(stop);
        }
        if (mine is not null && mine != current) await mine.DisposeAsync();
    }

    private static async Task<(long Skip, long Left)> CopyFileAsync(FileStream file, LogQuery query, Stream to, long skip, long left, CancellationToken stop)
    {
        var buffer = new byte[64 * 1024];
        var kept = 0;
        var output = new MemoryStream();
        while (left > 0)
        {
            var read = await file.ReadAsync(buffer.AsMemory(kept), stop);
            if (read == 0) break;
            var (length, start) = (kept + read, 0);
            while (buffer.AsSpan(start, length - start).IndexOf((byte)'\n') is var end and >= 0)
            {
                var line = buffer.AsSpan(start, end);
                start += end + 1;
                if (skip > 0)
                {
                    if (!LogLine.TryParse(line, out var skipped) || !skipped.IsPart) skip--;
                    continue;
                }
                left -= Append(output, line, query);
            }
            kept = length - start;
            // We write no such lines; whatever did, its rest must not stop the reader.
            if (kept == buffer.Length) kept = 0;
            buffer.AsSpan(start, kept).CopyTo(buffer);
            await to.WriteAsync(output.GetBuffer().AsMemory(0, (int)Math.Min(output.Length, output.Length + Math.Min(0, left))), stop);
            output.SetLength(0);
        }
        // A line that is still being written is read again, whole, next time.
        if (kept > 0) file.Position -= kept;
        return (skip, left);
    }

    private static long Append(MemoryStream output, ReadOnlySpan<byte> line, LogQuery query)
    {
        if (!LogLine.TryParse(line, out var parsed)) return 0;
        if (query.Since is { } since && parsed.Time < since) return 0;
        var before = output.Length;
        if (query.Timestamps) output.Write(Encoding.ASCII.GetBytes(parsed.TimeText + " "));
        output.Write(line[parsed.ContentStart..]);
        if (!parsed.IsPart) output.WriteByte((byte)'\n');
        return output.Length - before;
    }

    private static long CountLines(string path)
    {
        long lines = 0;
        var buffer = new byte[64 * 1024];
        foreach (var file in LogFile.Files(path))
        {
            using var stream = Open(file);
            foreach (var line in ReadLines(stream, buffer)) lines += line ? 1 : 0;
        }
        return lines;
    }

    // Tells for each line whether it ends one: parts do not.
    private static IEnumerable<bool> ReadLines(FileStream stream, byte[] buffer)
    {
        var kept = 0;
        while (stream.Read(buffer, kept, buffer.Length - kept) is var read and > 0)
        {
            var (length, start) = (kept + read, 0);
            while (buffer.AsSpan(start, length - start).IndexOf((byte)'\n') is var end and >= 0)
            {
                yield return !LogLine.TryParse(buffer.AsSpan(start, end), out var parsed) || !parsed.IsPart;
                start += end + 1;
            }
            kept = length - start;
            buffer.AsSpan(start, kept).CopyTo(buffer);
        }
    }

    private static FileStream Open(string path) => new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
}
