namespace Isthmus.Lab.Nodes.Containers;

/// <summary>Where the files of one container are: its record, the pipes of its output, its exit code, its logs.</summary>
internal sealed record ContainerFiles(string Directory, string Logs)
{
    internal string Record => Path.Combine(Directory, "container.json");

    internal string Exit(int attempt) => Path.Combine(Directory, $"{attempt}.exit");

    internal string Output(int attempt) => Path.Combine(Directory, $"{attempt}.out");

    internal string Errors(int attempt) => Path.Combine(Directory, $"{attempt}.err");

    internal string Input(int attempt) => Path.Combine(Directory, $"{attempt}.in");

    /// <summary>What the container may write to say why it ended.</summary>
    internal string TerminationMessage(int attempt) => Path.Combine(Directory, $"{attempt}.message");

    internal string Log(int attempt) => Path.Combine(Logs, $"{attempt}.log");

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
