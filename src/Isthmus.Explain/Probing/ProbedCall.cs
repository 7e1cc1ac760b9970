namespace Isthmus.Explain.Probing;

/// <summary>One call of a probe.</summary>
/// <param name="From">The context of the caller's cluster.</param>
/// <param name="Protocol"><c>HTTP</c>, <c>gRPC</c> or <c>TCP</c>.</param>
/// <param name="Path">Directly, or through which gateway; empty when the call failed.</param>
/// <param name="Identity">Who the callee's proxy saw; empty without a certificate.</param>
/// <param name="Error">Why it failed; empty when it was answered.</param>
public sealed record ProbedCall(string From, string To, string Protocol, string Path, double Milliseconds, string Identity, string Error)
{
    public bool IsReached => Error.Length == 0;

    /// <summary>Both ends showed certificates.</summary>
    public bool IsMutualTls => Identity.Length > 0;
}
