using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Images.Tools;

namespace Isthmus.Images.Building;

/// <summary>The commit that a program was built from, and the time that all files of the image get.</summary>
/// <param name="Revision">Empty when the sources are not in a git repository.</param>
internal sealed record SourceState(string Revision, DateTimeOffset Time)
{
    internal const string Variable = "SOURCE_DATE_EPOCH";

    internal static async Task<SourceState> ReadAsync(string sources, string epoch, CancellationToken stop)
    {
        var (revision, committed) = sources.Length == 0 ? ("", DateTimeOffset.UnixEpoch) : await CommitAsync(sources, stop);
        return new(revision, epoch.Length == 0 ? committed : Parse(epoch));
    }

    private static DateTimeOffset Parse(string epoch) =>
        long.TryParse(epoch, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds <= uint.MaxValue
            ? DateTimeOffset.FromUnixTimeSeconds(seconds)
            : throw new ProblemException(Variable, $"'{epoch}' is not a time", "set it to seconds since 1970, or unset it");

    private static async Task<(string Revision, DateTimeOffset Time)> CommitAsync(string sources, CancellationToken stop)
    {
        try
        {
            var commit = (await Git(sources, ["log", "-1", "--format=%H %ct"], stop)).Trim().Split(' ');
            var changes = await Git(sources, ["status", "--porcelain", "--untracked-files=no"], stop);
            return (changes.Trim().Length == 0 ? commit[0] : $"{commit[0]}-dirty",
                DateTimeOffset.FromUnixTimeSeconds(long.Parse(commit[1], CultureInfo.InvariantCulture)));
        }
        catch (ProblemException)
        {
            // Not a clone, or git is not installed: only the label is missing.
            return ("", DateTimeOffset.UnixEpoch);
        }
    }

    private static Task<string> Git(string sources, string[] arguments, CancellationToken stop) =>
        Tool.RunAsync("git", ["-C", sources, .. arguments], null, "", stop);
}
