using System.Globalization;
using Isthmus.Samples.Http;

namespace Isthmus.Samples.HttpBin;

/// <summary>Answers that send the caller elsewhere.</summary>
internal static class Redirects
{
    internal static HttpReply Relative(int count) => Found(302, count == 1 ? "/get" : $"/relative-redirect/{count - 1}");

    internal static HttpReply Absolute(HttpRequest request, int count)
    {
        var origin = Echo.Url(request)[..^request.Target.Length];
        return Found(302, origin + (count == 1 ? "/get" : $"/absolute-redirect/{count - 1}"));
    }

    internal static HttpReply To(HttpRequest request)
    {
        if (request.Query("url") is not { Length: > 0 } url) throw new BadRequestException(400, "The parameter 'url' is missing.");
        var status = int.TryParse(request.Query("status_code"), NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code is >= 300 and < 400
            ? code
            : 302;
        return Found(status, url);
    }

    private static HttpReply Found(int status, string location) => HttpReply.Text(status, "").With(new KeyValuePair<string, string>("Location", location));
}
