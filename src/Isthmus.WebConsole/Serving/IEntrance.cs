namespace Isthmus.WebConsole.Serving;

/// <summary>What one person sees.</summary>
/// <param name="Ended">Cancelled when this person may no longer see it.</param>
internal sealed record Visit(EventHub Events, IReadOnlyDictionary<string, Answer> Answers, CancellationToken Ended);

/// <summary>With what a call shows who makes it.</summary>
/// <param name="Key">The header <see cref="ConsoleServer.KeyHeader"/>, which only the page itself can send.</param>
/// <param name="Cookie">The cookie of the session; empty without one.</param>
/// <param name="Authorization">The header of that name, which a proxy in front of the console may set.</param>
internal sealed record CallerProof(string Key, string Cookie, string Authorization);

/// <summary>Whether a call is let in: a visit, or why not.</summary>
internal sealed record Admission(Visit? Visit, Refusal? Refusal = null);

/// <summary>The answer to someone who asks to be let in.</summary>
/// <param name="Key">What the page sends with its calls.</param>
/// <param name="Cookie">What the browser sends with all its requests; null when nothing but the key is needed.</param>
internal sealed record Entry(string Key, string? Cookie = null, Refusal? Refusal = null);

/// <summary>Decides who may use the console.</summary>
internal interface IEntrance
{
    /// <summary>The name of the cookie, without the prefix that it has over TLS; null when there is none.</summary>
    string? CookieName { get; }

    Task<Entry> EnterAsync(string token, CancellationToken stop);

    Task<Admission> AdmitAsync(CallerProof proof, CancellationToken stop);

    /// <summary>Ends the session of a call.</summary>
    void Leave(CallerProof proof);
}
