using System.Text;

namespace Isthmus.Proxy.Messages;

/// <summary>Reads cookies and query parameters of requests.</summary>
internal static class RequestFields
{
    /// <summary>The value of the first cookie with that name, without its quotes.</summary>
    public static string? Cookie(RequestHead request, string name) => Cookies(request, name).FirstOrDefault();

    /// <summary>The values of all cookies with that name, without their quotes.</summary>
    public static IEnumerable<string> Cookies(RequestHead request, string name)
    {
        var headers = request.Headers;
        for (var i = 0; i < headers.Count; i++)
        {
            if (!headers.Name(i).SequenceEqual("cookie"u8)) continue;
            foreach (var cookie in Encoding.UTF8.GetString(headers.Value(i)).Split(';', StringSplitOptions.TrimEntries))
            {
                if (!cookie.StartsWith(name, StringComparison.Ordinal) || cookie.Length <= name.Length || cookie[name.Length] != '=') continue;
                var value = cookie[(name.Length + 1)..];
                yield return value is ['"', .., '"'] ? value[1..^1] : value;
            }
        }
    }

    /// <summary>The value of the first query parameter with that name, as it was sent.</summary>
    public static string? Query(RequestHead request, string name) => Queries(request, name).FirstOrDefault();

    /// <summary>The values of all query parameters with that name, as they were sent.</summary>
    public static IEnumerable<string> Queries(RequestHead request, string name)
    {
        var target = request.TargetText;
        var question = target.IndexOf('?', StringComparison.Ordinal);
        if (question < 0) yield break;
        foreach (var pair in target[(question + 1)..].Split('&'))
            if (pair.StartsWith(name, StringComparison.Ordinal) && pair.Length > name.Length && pair[name.Length] == '=')
                yield return pair[(name.Length + 1)..];
    }
}
