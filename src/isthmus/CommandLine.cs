namespace Isthmus;

/// <summary>Chooses the command by the first word, so that one command never pays for building the others.</summary>
internal static class CommandLine
{
    internal static Task<int> RunAsync(string[] args)
    {
        Console.Error.WriteLine($"isthmus: unknown command '{(args.Length > 0 ? args[0] : "")}'");
        return Task.FromResult(2);
    }
}
