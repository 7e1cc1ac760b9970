using Isthmus.Core.Problems;

namespace Isthmus.Core.Flags;

/// <summary>A command line that is not valid: the program exits with code 2.</summary>
public sealed class WrongUseException(string program, string message, string remedy = "", Exception? cause = null)
    : ProblemException(program, message, remedy, cause);
