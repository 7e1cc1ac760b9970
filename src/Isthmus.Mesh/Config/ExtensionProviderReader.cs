using System.Globalization;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>Reads <c>extensionProviders</c> of MeshConfig. One with errors does not exist: policies that name it deny what they match.</summary>
internal static class ExtensionProviderReader
{
    private const string Http = "envoyExtAuthzHttp";
    private const string Grpc = "envoyExtAuthzGrpc";

    public static ValueMap<ExternalAuthorizer> Read(Field providers)
    {
        var read = new Dictionary<string, ExternalAuthorizer>(StringComparer.Ordinal);
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var provider in providers.Items)
        {
            var name = provider["name"].Text;
            if (name.Length == 0) provider["name"].Error("a provider needs a name");
            else if (!names.Add(name)) provider["name"].Error($"another provider has the name \"{name}\"", "give each provider a name of its own");
            var kind = provider[Http].Exists ? Http : provider[Grpc].Exists ? Grpc : null;
            if (kind is null) continue;
            if (provider[Http].Exists && provider[Grpc].Exists) provider.Error($"only one of {Http} and {Grpc} may be set");
            var authorizer = ReadAuthorizer(name, provider[kind], kind == Grpc);
            if (!provider.IsWrong) read[name] = authorizer;
        }
        return read.ToValueMap();
    }

    private static ExternalAuthorizer ReadAuthorizer(string name, Field authorizer, bool isGrpc)
    {
        var service = authorizer["service"];
        var host = service.Text[(service.Text.IndexOf('/', StringComparison.Ordinal) + 1)..];
        if (HostNames.WhyInvalid(host, allowWildcard: false) is { } why) service.Error(why, "write HOST or NAMESPACE/HOST");
        if (authorizer["port"].Integer is not (>= 1 and <= 65535)) authorizer["port"].Error("must be in the range 1..65535");
        var prefix = authorizer["pathPrefix"];
        if (prefix.Text.Length > 0 && (prefix.Text[0] != '/' || prefix.Text.Any(c => c is <= ' ' or > '~' or '?' or '#'))) prefix.Error($"\"{prefix.Text}\" is not a path", "begin it with /");
        var old = authorizer["includeHeadersInCheck"];
        var headers = authorizer["includeRequestHeadersInCheck"];
        if (old.Exists && headers.Exists) old.Error("cannot be set together with includeRequestHeadersInCheck", "use includeRequestHeadersInCheck");
        foreach (var (added, value) in authorizer["includeAdditionalHeadersInCheck"].Members)
        {
            if (!IsName(added)) value.Error($"\"{added}\" is not the name of a header");
            if (value.Text.Any(char.IsControl)) value.Error("contains control characters");
        }
        return new(name, service.Text, authorizer["port"].Int ?? 0, isGrpc)
        {
            Timeout = authorizer["timeout"].Duration(Durations.OneMillisecond) ?? ExternalAuthorizer.DefaultTimeout,
            FailOpen = authorizer["failOpen"].Flag ?? false,
            ClearRouteCache = authorizer["clearRouteCache"].Flag ?? false,
            StatusOnError = ReadStatus(authorizer["statusOnError"]),
            PathPrefix = prefix.Text,
            Body = ReadBody(authorizer["includeRequestBodyInCheck"]),
            RequestHeaders = Names(headers.Exists ? headers : old),
            AdditionalHeaders = authorizer["includeAdditionalHeadersInCheck"].TextMap,
            UpstreamOnAllow = Names(authorizer["headersToUpstreamOnAllow"]),
            DownstreamOnDeny = Names(authorizer["headersToDownstreamOnDeny"]),
            DownstreamOnAllow = Names(authorizer["headersToDownstreamOnAllow"]),
        };
    }

    private static CheckedBody? ReadBody(Field body)
    {
        if (!body.Exists) return null;
        if (body["maxRequestBytes"].Integer is not (>= 1 and <= int.MaxValue)) body["maxRequestBytes"].Error("must be in the range 1..2147483647");
        return new(body["maxRequestBytes"].UInt ?? 0, body["allowPartialMessage"].Flag ?? false, body["packAsBytes"].Flag ?? false);
    }

    private static int ReadStatus(Field status)
    {
        if (status.Text.Length == 0) return 0;
        if (int.TryParse(status.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code >= 200 && code is not (306 or 451) && Enum.IsDefined((HttpStatusCode)code)) return code;
        status.Error($"\"{status.Text}\" is not an HTTP status", "use a status such as \"403\" or \"503\"");
        return 0;
    }

    private static ValueList<string> Names(Field names)
    {
        foreach (var name in names.Items)
        {
            if (name.Text != "*" && !IsName(name.Text.StartsWith('*') ? name.Text[1..] : name.Text.EndsWith('*') ? name.Text[..^1] : name.Text)) name.Error($"\"{name.Text}\" is not the name of a header, a prefix* or a *suffix");
        }
        return names.Texts;
    }

    private static bool IsName(string name) => name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'+-.^_`|~".Contains(c, StringComparison.Ordinal));
}
