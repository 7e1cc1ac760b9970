using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Values;

/// <summary>Reads query parameters as a real API server does: of a repeated parameter, the first value counts.</summary>
internal static class QueryText
{
    /// <summary>The first value; empty when absent.</summary>
    internal static string First(this IQueryCollection query, string name) =>
        query.TryGetValue(name, out var values) && values.Count > 0 ? values[0] ?? "" : "";

    /// <summary>Go clients send true or 1, Python's send True. Every value but false and 0 switches a parameter on, also the empty
    /// one (Kubernetes' conversion of query parameters).</summary>
    internal static bool IsOn(this IQueryCollection query, string name) =>
        query.TryGetValue(name, out var values) && values.Count > 0 && values[0] is not "0" && !"false".Equals(values[0], StringComparison.OrdinalIgnoreCase);
}
