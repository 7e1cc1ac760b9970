
namespace Isthmus.Lab.Machine.Linux;

/// <summary>Signal numbers that are the same on every supported architecture.</summary>
internal static class Signals
{
    internal const int Int = 2, Quit = 3, Kill = 9, Usr1 = 10, Usr2 = 12, Term = 15, Continue = 18, Stop = 19;
}
