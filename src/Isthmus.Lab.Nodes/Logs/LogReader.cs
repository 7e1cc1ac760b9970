using System.Text;

namespace Isthmus.Lab.Nodes.Logs;

/// <summary>Which part of a log to return (core/v1 PodLogOptions).</summary>
/// <param name="Tail">At most this many lines from the end.</param>
internal sealed record LogQuery(bool Follow, long? Tail, DateTimeOffset? Since, bool Timestamps, long? LimitBytes);

/// <summary>Reads one log as text, across rotated files.</summary>
internal sealed class LogReader : IDisposable
{
    private readonly string _path;
    private readonly LogQuery _query;
    private readonly Stream _to;
    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly MemoryStream _output = new();

    private FileStream? _file;
    private long _skip;
    private long _left;

    private LogReader(string path, LogQuery query, Stream to)
    {
        (_path, _query, _to) = (path, query, to);
        _skip = query.Tail is { } tail ? Math.Max(0, CountLines(path) - tail) : 0;
        _left = query.LimitBytes ?? long.MaxValue;
    }

    /// <param name="live">The log, if it is still being written. It is required to follow.</param>
    internal static async Task CopyAsync(string path, LogFile? live, LogQuery query, Stream to, CancellationToken stop)
    {
        using var reader = new LogReader(path, query, to);
        var rotations = live?.Rotations ?? 0;
        foreach (var file in LogFile.Files(path)) await reader.CopyAsync(file, stop);
        await to.FlushAsync(stop);
        if (query.Follow && live is not null) await reader.FollowAsync(live, rotations, stop);
    }

    public void Dispose()
    {
        _file?.Dispose();
        _output.Dispose();
    }

    /// <param name="read">The rotations before the newest file was opened.</param>
    private async Task FollowAsync(LogFile live, int read, CancellationToken stop)
    {
        while (_left > 0)
        {
            // Taken before reading: changes in the meantime are seen in the next round.
            var (changed, isComplete, now) = (live.Changed, live.IsComplete, live.Rotations);
            await CopyRestAsync(stop);
            for (; read < now && _left > 0; read++)
            {
                // It was rotated, so the old file has just been read to its end: continue with the next one.
                var age = now - read - 1;
                await CopyAsync(age > 0 ? $"{_path}.{age}" : _path, stop);
            }
            await _to.FlushAsync(stop);
            if (isComplete) return;
            await changed.WaitAsync(stop);
        }
    }

    private async Task CopyAsync(string file, CancellationToken stop)
    {
        if (_file is not null) await _file.DisposeAsync();
        _file = File.Exists(file) ? Open(file) : null;
        await CopyRestAsync(stop);
    }

    private async Task CopyRestAsync(CancellationToken stop)
    {
        if (_file is null) return;
        var kept = 0;
        while (_left > 0)
        {
            var read = await _file.ReadAsync(_buffer.AsMemory(kept), stop);
            if (read == 0) break;
            kept = TakeLines(kept + read);
            await _to.WriteAsync(_output.GetBuffer().AsMemory(0, (int)Math.Min(_output.Length, _output.Length + Math.Min(0, _left))), stop);
            _output.SetLength(0);
        }
        // An incomplete line is read again as a whole next time.
        if (kept > 0) _file.Position -= kept;
    }

    // Returns how many bytes of an unfinished line stay at the front of the buffer.
    private int TakeLines(int length)
    {
        var start = 0;
        while (_buffer.AsSpan(start, length - start).IndexOf((byte)'\n') is var end and >= 0)
        {
            Take(_buffer.AsSpan(start, end));
            start += end + 1;
        }
        var kept = length - start;
        // This node writes no such lines. Whatever wrote it, the rest of it must not stop the reader.
        if (kept == _buffer.Length) kept = 0;
        _buffer.AsSpan(start, kept).CopyTo(_buffer);
        return kept;
    }

    private void Take(ReadOnlySpan<byte> line)
    {
        var isLine = LogLine.TryParse(line, out var parsed);
        if (_skip > 0)
        {
            if (!isLine || !parsed.IsPart) _skip--;
            return;
        }
        if (!isLine || (_query.Since is { } since && parsed.Time < since)) return;
        var before = _output.Length;
        if (_query.Timestamps) _output.Write(Encoding.ASCII.GetBytes(parsed.TimeText + " "));
        _output.Write(line[parsed.ContentStart..]);
        if (!parsed.IsPart) _output.WriteByte((byte)'\n');
        _left -= _output.Length - before;
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

    // Returns for each stored line whether it completes a line; parts do not.
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
