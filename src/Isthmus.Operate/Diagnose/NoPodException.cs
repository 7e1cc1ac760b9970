using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose;

/// <summary>What is named exists, and has no Pod.</summary>
public sealed class NoPodException(string @object, string message, string remedy) : ProblemException(@object, message, remedy);
