namespace Isthmus.Options;

/// <summary>What the commands exit with; the help of the program lists the same.</summary>
internal static class ExitCode
{
    internal const int Success = 0;

    /// <summary>An error, a check that failed, or a question answered with no.</summary>
    internal const int Failure = 1;

    /// <summary>The command line is not valid: an unknown flag, a value that a flag does not take, or flags that exclude each other.</summary>
    internal const int WrongUse = 2;

    /// <summary>What <c>analyze</c> found has at least the level of its threshold, as in istioctl; or <c>migrate check</c> found something that would be
    /// lost.</summary>
    internal const int IssuesFound = 79;

    /// <summary>What a shell reports for a command that Ctrl-C ended.</summary>
    internal const int Interrupted = 130;

    internal const string Help =
        "Exit codes: 0 success, 1 error or failed check, 2 invalid command line (also a value or combination of flags), 79 analyze or migrate check found "
            + "issues, 130 interrupted.";
}
