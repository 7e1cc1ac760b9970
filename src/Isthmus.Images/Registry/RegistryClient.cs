using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Core.Trust;
using Isthmus.Images.Oci;

namespace Isthmus.Images.Registry;

/// <summary>Uploads to a registry (OCI distribution API), with the authentication that the registry asks for.</summary>
public sealed class RegistryClient : IDisposable
{
    private const int LargestAnswer = 1 << 20;

    private readonly RegistryName _name;
    private readonly RegistryAccess _access;
    private readonly HttpClient _http;
    private readonly Uri _base;
    private AuthenticationHeaderValue? _authorization;

    public RegistryClient(RegistryName name, RegistryAccess access)
    {
        (_name, _access) = (name, access);
        _base = new($"{(access.PlainHttp ? "http" : "https")}://{name.Host}/v2/");
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false };
        if (!access.PlainHttp)
            handler.SslOptions.CertificateChainPolicy = access.CertificateAuthority.Length > 0 ? Trust(access.CertificateAuthority) : SystemRoots.Policy();
        // Layers take as long as the network takes.
        _http = new(handler) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = LargestAnswer };
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Checks that there is a registry that accepts the credentials, before anything is uploaded.</summary>
    public async Task ConnectAsync(CancellationToken stop)
    {
        using var answer = await SendAsync(() => new(HttpMethod.Get, _base), stop);
        if (answer.StatusCode != HttpStatusCode.OK) throw await RefusedAsync("use it as a registry", answer, stop);
    }

    /// <summary>Uploads a blob unless the registry has it.</summary>
    /// <returns>Whether it was uploaded.</returns>
    public async Task<bool> PutBlobAsync(Digest digest, long size, Func<Stream> open, CancellationToken stop)
    {
        using (var known = await SendAsync(() => new(HttpMethod.Head, At($"blobs/{digest}")), stop))
        {
            if (known.StatusCode == HttpStatusCode.OK) return false;
            if (known.StatusCode != HttpStatusCode.NotFound) throw await RefusedAsync($"look for a layer of {_name.Repository}", known, stop);
        }
        using var begun = await SendAsync(() => new(HttpMethod.Post, At("blobs/uploads/")), stop);
        if (begun.StatusCode != HttpStatusCode.Accepted || begun.Headers.Location is not { } location)
            throw await RefusedAsync($"begin an upload to {_name.Repository}", begun, stop);
        var place = new UriBuilder(new Uri(_base, location));
        place.Query = $"{(place.Query.Length > 1 ? place.Query[1..] + "&" : "")}digest={Uri.EscapeDataString(digest.ToString())}";
        using var stored = await SendAsync(() => new(HttpMethod.Put, place.Uri) { Content = Content(open(), size) }, stop);
        return stored.StatusCode == HttpStatusCode.Created ? true : throw await RefusedAsync($"upload a layer of {_name.Repository}", stored, stop);
    }

    /// <summary>Makes the tag refer to a manifest whose blobs are uploaded.</summary>
    public async Task PutManifestAsync(byte[] manifest, string type, CancellationToken stop)
    {
        using var stored = await SendAsync(() =>
        {
            var content = new ByteArrayContent(manifest);
            content.Headers.ContentType = new(type);
            return new(HttpMethod.Put, At($"manifests/{_name.Tag}")) { Content = content };
        }, stop);
        if (stored.StatusCode != HttpStatusCode.Created) throw await RefusedAsync($"set the tag {_name.Tag} of {_name.Repository}", stored, stop);
    }

    private Uri At(string path) => new(_base, $"{_name.Repository}/{path}");

    private static StreamContent Content(Stream stream, long size)
    {
        var content = new StreamContent(stream);
        content.Headers.ContentLength = size;
        content.Headers.ContentType = new("application/octet-stream");
        return content;
    }

    /// <summary>Sends a request, and again with credentials if the registry asks for them: at first, and when a token has expired.</summary>
    private async Task<HttpResponseMessage> SendAsync(Func<HttpRequestMessage> make, CancellationToken stop)
    {
        var answer = await SendOnceAsync(make(), stop);
        if (answer.StatusCode != HttpStatusCode.Unauthorized) return answer;
        using (answer) _authorization = await AuthorizeAsync(answer, stop);
        var second = await SendOnceAsync(make(), stop);
        if (second.StatusCode != HttpStatusCode.Unauthorized) return second;
        using (second) throw await RefusedAsync("log in", second, stop);
    }

    private async Task<HttpResponseMessage> SendOnceAsync(HttpRequestMessage request, CancellationToken stop)
    {
        using (request)
        {
            // A registry may send uploads to another host, which must not see its credentials.
            if (request.RequestUri!.Authority == _base.Authority) request.Headers.Authorization = _authorization;
            try
            {
                return await _http.SendAsync(request, stop);
            }
            catch (HttpRequestException e)
            {
                throw Unreachable(e);
            }
        }
    }

    private async Task<AuthenticationHeaderValue> AuthorizeAsync(HttpResponseMessage answer, CancellationToken stop)
    {
        var challenge = answer.Headers.WwwAuthenticate.FirstOrDefault(one => one.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase))
            ?? answer.Headers.WwwAuthenticate.FirstOrDefault(one => one.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase));
        if (challenge is null) throw await RefusedAsync("log in", answer, stop);
        if (challenge.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase)) return await TokenAsync(challenge.Parameter ?? "", stop);
        return _access.User.Length > 0 && _authorization is null ? Basic() : throw await RefusedAsync("log in", answer, stop);
    }

    private AuthenticationHeaderValue Basic() => new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{_access.User}:{_access.Password}")));

    private async Task<AuthenticationHeaderValue> TokenAsync(string challenge, CancellationToken stop)
    {
        var fields = challenge.Split(',', StringSplitOptions.TrimEntries).Select(pair => pair.Split('=', 2)).Where(pair => pair.Length == 2)
            .GroupBy(pair => pair[0], StringComparer.OrdinalIgnoreCase)
            .ToDictionary(pair => pair.Key, pair => pair.First()[1].Trim('"'), StringComparer.OrdinalIgnoreCase);
        if (!Uri.TryCreate(fields.GetValueOrDefault("realm"), UriKind.Absolute, out var realm) || (realm.Scheme != Uri.UriSchemeHttps && !_access.PlainHttp))
            throw new ProblemException($"registry {_name.Host}", $"asks for a token from '{fields.GetValueOrDefault("realm")}', which is not an https address",
                "check the registry's settings");
        var query =
            $"service={Uri.EscapeDataString(fields.GetValueOrDefault("service", ""))}&scope={Uri.EscapeDataString($"repository:{_name.Repository}:pull,push")}";
        using var request = new HttpRequestMessage(HttpMethod.Get,
            new UriBuilder(realm) { Query = realm.Query.Length > 1 ? $"{realm.Query[1..]}&{query}" : query }.Uri);
        if (_access.User.Length > 0) request.Headers.Authorization = Basic();
        try
        {
            using var answer = await _http.SendAsync(request, stop);
            if (answer.StatusCode != HttpStatusCode.OK) throw await RefusedAsync("get a token", answer, stop);
            var token = StrictJson.Parse(await answer.Content.ReadAsStringAsync(stop)) as JsonObject;
            return (token?["token"] ?? token?["access_token"])?.ToString() is { Length: > 0 } text
                ? new("Bearer", text)
                : throw new ProblemException($"registry {_name.Host}", $"{realm.Host} returned no token", "check the registry's settings");
        }
        catch (JsonException e)
        {
            throw new ProblemException($"registry {_name.Host}", $"{realm.Host} returned no token: {e.Message}", "check the registry's settings", e);
        }
        catch (HttpRequestException e)
        {
            throw Unreachable(e);
        }
    }

    private async Task<ProblemException> RefusedAsync(string what, HttpResponseMessage answer, CancellationToken stop)
    {
        var said = Message(await answer.Content.ReadAsStringAsync(stop));
        var remedy = answer.StatusCode switch
        {
            HttpStatusCode.Unauthorized
                or HttpStatusCode.Forbidden => "check --username and --password-stdin, or log in with docker or podman, and the account's rights",
            HttpStatusCode.NotFound => "check the name; some registries need the repository to exist",
            HttpStatusCode.RequestEntityTooLarge => "the registry, or a proxy before it, limits the size of uploads",
            _ => "see the registry's log",
        };
        return new($"registry {_name.Host}", $"could not {what}: {(int)answer.StatusCode} {answer.ReasonPhrase}{(said.Length > 0 ? $": {said}" : "")}", remedy);
    }

    private static string Message(string body)
    {
        try
        {
            var first = (StrictJson.Parse(body)?["errors"] as JsonArray)?.FirstOrDefault();
            return string.Join(": ", new[] { first?["code"]?.ToString(), first?["message"]?.ToString() }.Where(text => !string.IsNullOrEmpty(text)));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return "";
        }
    }

    private ProblemException Unreachable(HttpRequestException e) => e.HttpRequestError switch
    {
        HttpRequestError.SecureConnectionError => new($"registry {_name.Host}", $"TLS failed: {(e.InnerException ?? e).Message}",
            "trust its authority with --ca-file, or use --plain-http if it has no TLS", e),
        _ => new($"registry {_name.Host}", $"cannot be reached: {(e.InnerException ?? e).Message}", "check the name and the network", e),
    };

    private static X509ChainPolicy Trust(string file)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        try
        {
            policy.CustomTrustStore.ImportFromPem(InputFile.Read($"--ca-file {file}", file));
        }
        catch (CryptographicException e)
        {
            throw new ProblemException($"--ca-file {file}", $"cannot be read: {e.Message}", "specify a file with PEM certificates", e);
        }
        return policy.CustomTrustStore.Count > 0
            ? policy
            : throw new ProblemException($"--ca-file {file}", "has no certificate", "specify a file with PEM certificates");
    }
}
