namespace Isthmus.Lab.Nodes.Logs;

/// <summary>The log of one run of a container: written line by line, rotated by size, readable while it is written.</summary>
internal sealed class LogFile : IDisposable
{
    internal const long RotateAt = 10 * 1024 * 1024;
    internal const int KeptFiles = 5;

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Lock _guard = new(); // guards the stream: standard output and error write here
    private FileStream _stream;
    private TaskCompletionSource _changed = NewSignal();

    internal LogFile(string path, TimeProvider time)
    {
        _path = path;
        _time = time;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _stream = Append(path);
    }

    /// <summary>The number of rotations since this process opened it.</summary>
    internal int Rotations { get; private set; }

    /// <summary>No more is written.</summary>
    internal bool IsComplete { get; private set; }

    /// <summary>Completes at the next change. Take it before reading, or a change in between is missed.</summary>
    internal Task Changed
    {
        get { lock (_guard) return _changed.Task; }
    }

    internal void WriteLine(ReadOnlySpan<byte> text, bool isError, bool isPart)
    {
        lock (_guard)
        {
            if (IsComplete) return;
            _stream.Write(LogLine.Prefix(_time.GetUtcNow(), isError, isPart));
            _stream.Write(text);
            _stream.WriteByte((byte)'\n');
        }
    }

    /// <summary>Makes written data visible to readers.</summary>
    internal void Flush()
    {
        lock (_guard)
        {
            if (IsComplete) return;
            _stream.Flush();
            if (_stream.Length >= RotateAt) Rotate();
            Announce();
        }
    }

    public void Dispose()
    {
        lock (_guard)
        {
            if (IsComplete) return;
            _stream.Dispose();
            IsComplete = true;
            Announce();
        }
    }

    /// <summary>The files of one log, oldest first.</summary>
    internal static IReadOnlyList<string> Files(string path) =>
        [.. Enumerable.Range(1, KeptFiles).Reverse().Select(number => $"{path}.{number}").Append(path).Where(File.Exists)];

    private void Rotate()
    {
        _stream.Dispose();
        for (var number = KeptFiles - 1; number >= 1; number--)
        {
            if (File.Exists($"{_path}.{number}")) File.Move($"{_path}.{number}", $"{_path}.{number + 1}", overwrite: true);
        }
        File.Move(_path, $"{_path}.1", overwrite: true);
        File.Delete($"{_path}.{KeptFiles}");
        _stream = Append(_path);
        Rotations++;
    }

    private void Announce()
    {
        _changed.TrySetResult();
        _changed = NewSignal();
    }

    private static FileStream Append(string path) => new(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, 4096);

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
