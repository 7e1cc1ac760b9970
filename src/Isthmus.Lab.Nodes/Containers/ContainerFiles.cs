namespace Isthmus.Lab.Nodes.Containers;

/// <summary>The files of one container: its record, and those of each of its runs.</summary>
internal sealed record ContainerFiles(string Directory, string Logs)
{
    internal string Record => Path.Combine(Directory, "container.json");

    internal RunFiles Run(int attempt) => new(Directory, Logs, attempt);

    /// <summary>Deletes what belongs to runs before the last two: logs are kept for <c>--previous</c>.</summary>
    internal void Prune(int attempt)
    {
        foreach (var file in System.IO.Directory.EnumerateFiles(Directory).Concat(System.IO.Directory.EnumerateFiles(Logs)))
        {
            var name = Path.GetFileName(file);
            var dot = name.IndexOf('.', StringComparison.Ordinal);
            if (dot > 0 && int.TryParse(name.AsSpan(0, dot), out var other) && other < attempt - 1) File.Delete(file);
        }
    }
}

/// <summary>The files of one run of a container: the pipes of its input and output, its exit code, its log.</summary>
internal sealed record RunFiles(string Directory, string Logs, int Attempt)
{
    internal string Exit => Path.Combine(Directory, $"{Attempt}.exit");

    internal string Output => Path.Combine(Directory, $"{Attempt}.out");

    internal string Errors => Path.Combine(Directory, $"{Attempt}.err");

    internal string Input => Path.Combine(Directory, $"{Attempt}.in");

    /// <summary>The file to which the container may write why it ended.</summary>
    internal string TerminationMessage => Path.Combine(Directory, $"{Attempt}.message");

    internal string Log => Path.Combine(Logs, $"{Attempt}.log");
}
