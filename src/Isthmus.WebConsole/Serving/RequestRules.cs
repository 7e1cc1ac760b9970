namespace Isthmus.WebConsole.Serving;

/// <summary>Why a request is not served.</summary>
internal sealed record Refusal(int Status, string Reason)
{
    /// <summary>Whether a token for the API server would help.</summary>
    public bool AsksForToken { get; init; }
}

/// <summary>What decides whether a request is served, before its path matters.</summary>
/// <param name="FetchSite">The header <c>Sec-Fetch-Site</c>, which browsers send.</param>
internal sealed record RequestFacts(string Method, string Path, string Host, string Origin, string FetchSite, string ContentType);

/// <summary>
/// Keeps other web pages away. A page whose DNS name leads to the loopback address (DNS rebinding) has another Host; one that sends
/// requests across origins has another Origin, and can send neither JSON nor the key without being asked first.
/// </summary>
internal static class RequestRules
{
    public const string Api = "/api/";

    public static Refusal? Check(RequestFacts request, SiteNames names)
    {
        if (!names.Has(request.Host)) return new(421, $"Host '{request.Host}' is not this console: use {names}");
        if (request.Origin.Length > 0 && !names.IsOwn(request.Origin, request.Host))
            return new(403, $"Origin '{request.Origin}' is another site: its pages cannot use the console");
        if (!request.Path.StartsWith(Api, StringComparison.Ordinal))
            return request.Method is "GET" or "HEAD" ? null : new(405, $"{request.Method} is not allowed here: use GET");
        if (request.Method != "POST") return new(405, $"{request.Method} is not allowed here: calls need POST");
        if (request.FetchSite is not ("" or "same-origin"))
            return new(403, $"Sec-Fetch-Site is '{request.FetchSite}': only the console's own page can call it");
        return request.ContentType.Split(';')[0].Trim().Equals("application/json", StringComparison.OrdinalIgnoreCase)
            ? null
            : new(415, "calls need Content-Type application/json");
    }
}
