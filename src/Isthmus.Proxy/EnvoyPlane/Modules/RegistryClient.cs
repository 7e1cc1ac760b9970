using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Json;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>Asks one registry for parts of one repository (OCI distribution), with the token that it demands.</summary>
internal sealed partial class RegistryClient(ModuleHttp http, ImageReference image, RegistryCredentials credentials)
{
    private const int MaxAnswer = 4 * 1024 * 1024;

    private static readonly string[] Manifests =
    [
        "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
    ];

    private AuthenticationHeaderValue? _authorization = credentials.Bearer.Length > 0 ? new("Bearer", credentials.Bearer) : null;
    private string _scheme = "https";

    /// <param name="name">A tag or digest.</param>
    /// <exception cref="ModuleException">The registry does not give it, or something else.</exception>
    public async Task<byte[]> ManifestAsync(string name, CancellationToken stop)
    {
        using var response = await GetAsync($"manifests/{name}", stop).ConfigureAwait(false);
        return Checked(name, await ModuleHttp.BodyAsync(response, MaxAnswer, stop).ConfigureAwait(false));
    }

    /// <exception cref="ModuleException">The registry does not give it, or something else.</exception>
    public async Task<byte[]> BlobAsync(string digest, CancellationToken stop)
    {
        using var response = await GetAsync($"blobs/{digest}", stop).ConfigureAwait(false);
        return Checked(digest, await ModuleHttp.BodyAsync(response, ModuleArchive.MaxBytes, stop).ConfigureAwait(false));
    }

    private static byte[] Checked(string name, byte[] bytes)
    {
        const string sha256 = "sha256:";
        if (name.StartsWith(sha256, StringComparison.Ordinal) && name[sha256.Length..] is var wanted
            && Convert.ToHexStringLower(SHA256.HashData(bytes)) is var found && found != wanted)
            throw new ModuleException($"the registry gave what hashes to {found}, not {wanted}");
        return bytes;
    }

    private async Task<HttpResponseMessage> GetAsync(string path, CancellationToken stop)
    {
        var response = await SendAsync(path, stop).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.Unauthorized)
        {
            var challenges = response.Headers.WwwAuthenticate.ToList();
            response.Dispose();
            _authorization = await AuthorizeAsync(challenges, stop).ConfigureAwait(false);
            response = await SendAsync(path, stop).ConfigureAwait(false);
        }
        if (response.StatusCode == HttpStatusCode.OK) return response;
        var status = (int)response.StatusCode;
        response.Dispose();
        throw new ModuleException($"{image.Registry} answers {status} to {image.Repository}/{path}");
    }

    private async Task<HttpResponseMessage> SendAsync(string path, CancellationToken stop)
    {
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"{_scheme}://{image.Registry}/v2/{image.Repository}/{path}"));
            request.Headers.Authorization = _authorization;
            foreach (var type in Manifests) request.Headers.Accept.Add(new(type));
            request.Headers.Accept.Add(new("*/*"));
            try
            {
                return await http.SendAsync(request, stop).ConfigureAwait(false);
            }
            // Only where the one who configures the agent allows it: the token and the module would be in the clear.
            catch (ModuleException e) when (_scheme == "https"
                && e.InnerException is HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError }
                && http.IsInsecure(request.RequestUri!))
            {
                _scheme = "http";
            }
        }
    }

    private async Task<AuthenticationHeaderValue> AuthorizeAsync(List<AuthenticationHeaderValue> challenges, CancellationToken stop)
    {
        if (challenges.Find(challenge => challenge.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase)) is { Parameter: { } given })
            return new("Bearer",
                await TokenAsync(Parameter().Matches(given)
                    .ToLookup(match => match.Groups[1].Value, match => match.Groups[2].Value, StringComparer.OrdinalIgnoreCase),
                    stop)
                    .ConfigureAwait(false));
        if (credentials.Basic.Length > 0 && challenges.Exists(challenge => challenge.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase)))
            return new("Basic", credentials.Basic);
        throw new ModuleException($"{image.Registry} demands credentials: name a Secret in imagePullSecret that has them for {image.Registry}");
    }

    private async Task<string> TokenAsync(ILookup<string, string> challenge, CancellationToken stop)
    {
        var realm = Realm(challenge["realm"].FirstOrDefault() ?? "");
        var scope = challenge["scope"].FirstOrDefault() ?? $"repository:{image.Repository}:pull";
        var query =
            $"scope={Uri.EscapeDataString(scope)}{(challenge["service"].FirstOrDefault() is { } service ? $"&service={Uri.EscapeDataString(service)}" : "")}";
        using var request = new HttpRequestMessage(HttpMethod.Get,
            new UriBuilder(realm) { Query = realm.Query.Length > 1 ? $"{realm.Query[1..]}&{query}" : query }.Uri);
        if (credentials.Basic.Length > 0) request.Headers.Authorization = new("Basic", credentials.Basic);
        using var response = await http.SendAsync(request, stop).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.OK)
            throw new ModuleException($"{realm.Authority} answers {(int)response.StatusCode} to the question for a token");
        var body = await ModuleHttp.BodyAsync(response, MaxAnswer, stop).ConfigureAwait(false);
        try
        {
            var answer = StrictJson.Parse(body);
            return (answer?["token"] ?? answer?["access_token"])?.GetValue<string>() ?? throw new ModuleException($"{realm.Authority} gives no token");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new ModuleException($"the answer of {realm.Authority} to the question for a token is not JSON", e);
        }
    }

    /// <summary>The registry says where to get a token. It must not send the credentials into the network of the Pod.</summary>
    private Uri Realm(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var realm) || realm.Scheme is not ("https" or "http")) throw Unsafe("is not a URL of http or https");
        if (realm.Scheme == "http" && _scheme == "https" && !http.IsInsecure(realm)) throw Unsafe("has no TLS");
        if (realm.Host is "localhost" or "metadata.google.internal" || (IPAddress.TryParse(realm.Host.Trim('[', ']'), out var address) && IsPrivate(address)))
            throw Unsafe("is inside of the network");
        return realm;

        ModuleException Unsafe(string why) => new($"{image.Registry} names the realm \"{text}\", which {why}");
    }

    private static bool IsPrivate(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return IPAddress.IsLoopback(plain) || GuardedDial.IsForbidden(plain) || Array.Exists(Private, range => range.Contains(plain));
    }

    private static readonly IPNetwork[] Private = [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("172.16.0.0/12"), IPNetwork.Parse("192.168.0.0/16"),
        IPNetwork.Parse("fc00::/7")];

    [GeneratedRegex("([A-Za-z_]+)=\"([^\"]*)\"", RegexOptions.NonBacktracking)]
    private static partial Regex Parameter();
}
