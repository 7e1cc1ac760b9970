namespace Isthmus.Lab.ApiServer.VirtualResources;

/// <summary>The name in the path of a proxy: <c>web</c>, <c>web:8080</c>, <c>https:web:metrics</c>.</summary>
/// <param name="Scheme">http or https.</param>
/// <param name="Port">A number or, of a Service, a name. Empty when absent.</param>
internal sealed record ProxyRequestName(string Scheme, string Name, string Port)
{
    /// <returns>Null when malformed.</returns>
    internal static ProxyRequestName? Parse(string text) => text.Split(':') switch
    {
        [{ Length: > 0 } name] => new("http", name, ""),
        [{ Length: > 0 } name, var port] => new("http", name, port),
        ["http" or "https" or "", { Length: > 0 } name, var port] words => new(words[0].Length > 0 ? words[0] : "http", name, port),
        _ => null,
    };
}
