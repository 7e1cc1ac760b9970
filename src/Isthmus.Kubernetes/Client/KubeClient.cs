using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Client;

/// <summary>Options of a list or watch (meta/v1 ListOptions).</summary>
public sealed record ListOptions
{
    public string? LabelSelector { get; init; }
    public string? FieldSelector { get; init; }
    public string? ResourceVersion { get; init; }
    public int? Limit { get; init; }
    public string? Continue { get; init; }
    public int? TimeoutSeconds { get; init; }
}

/// <summary>One page of a list.</summary>
public sealed record ResourceList<T>(IReadOnlyList<T> Items, string ResourceVersion, string Continue);

public enum WatchEventType { Added, Modified, Deleted, Bookmark }

/// <summary>One event of a watch. To resume after it, use <see cref="ResourceVersion"/>.</summary>
public readonly record struct WatchEvent<T>(WatchEventType Type, T Object, string ResourceVersion);

public enum PatchType { Json, Merge, Strategic, Apply }

/// <summary>A client of one API server, with JSON as input and JSON or typed views as output. Failures are <see
/// cref="KubeException"/>.</summary>
public sealed class KubeClient : IDisposable
{
    /// <summary>The last token read from its kubeconfig.</summary>
    private sealed record Rotated(string Kubeconfig, string Token);

    private const int LongestError = 1 << 20;

    /// <summary>How often a request is sent to a server that is busy, within <see cref="RequestTimeout"/>.</summary>
    private const int MostAttempts = 10;

    private readonly HttpClient _http;
    private readonly bool _sharesConnections;
    private volatile Rotated? _rotated;

    public KubeClient(ClusterAccess access, string userAgent = "isthmus")
    {
        Access = access;
        var handler = access.StandIn?.CreateHandler() ?? ClientHandler.Create(access);
        Pods = new(access, handler);
        _http = new HttpClient(handler)
        {
            BaseAddress = access.Server,
            Timeout = Timeout.InfiniteTimeSpan, // Watches last; requests get their own limit below.
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd(userAgent);
        if (access.Impersonate is { } user) _http.DefaultRequestHeaders.Add("Impersonate-User", user);
    }

    private KubeClient(KubeClient other) =>
        (Access, _http, Pods, FieldManager, _sharesConnections) = (other.Access, other._http, other.Pods, other.FieldManager, true);

    public ClusterAccess Access { get; }

    /// <summary>The ports of Pods. Each request to them has a patience of its own.</summary>
    public PodHttp Pods { get; }

    /// <summary>The time limit of every request except watches and logs.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The <c>fieldManager</c> of writes.</summary>
    public string FieldManager { get; init; } = "isthmus";

    public void Dispose()
    {
        if (_sharesConnections) return;
        Pods.Dispose();
        _http.Dispose();
    }

    /// <summary>A client with another time limit, over the connections of this one.</summary>
    public KubeClient Within(TimeSpan limit) => new(this) { RequestTimeout = limit };

    /// <summary>The object, or null when there is none.</summary>
    public Task<JsonObject?> FindAsync(ResourceKind kind, string? ns, string name, CancellationToken stop) =>
        FindAsync<JsonObject>(kind, ns, name, stop);

    /// <inheritdoc cref="FindAsync(ResourceKind, string?, string, CancellationToken)"/>
    public async Task<T?> FindAsync<T>(ResourceKind kind, string? ns, string name, CancellationToken stop) where T : class
    {
        try { return await GetAsync<T>(kind, ns, name, stop); }
        catch (KubeException e) when (e.IsNotFound) { return null; }
    }

    public Task<JsonObject> GetAsync(ResourceKind kind, string? ns, string name, CancellationToken stop) =>
        GetAsync<JsonObject>(kind, ns, name, stop);

    public async Task<T> GetAsync<T>(ResourceKind kind, string? ns, string name, CancellationToken stop) where T : class =>
        Parse<T>(await SendAsync(HttpMethod.Get, kind.Path(ns, name), null, null, stop));

    /// <summary>One page; <see cref="ListAllAsync"/> follows the continue token.</summary>
    public async Task<ResourceList<T>> ListAsync<T>(ResourceKind kind, string? ns, ListOptions options, CancellationToken stop) where T : class
    {
        var items = new List<T>();
        var end = await ReadPageAsync<T>(kind, ns, options, items.Add, stop);
        return new(items, end.ResourceVersion, end.Continue);
    }

    /// <summary>One page, item by item while it arrives.</summary>
    /// <param name="each">Called for each item, also when the request fails later.</param>
    internal Task<ListEnd> ReadPageAsync<T>(ResourceKind kind, string? ns, ListOptions options, Action<T> each, CancellationToken stop) where T : class =>
        SendAsync(HttpMethod.Get, kind.Path(ns) + Query(options, watch: false), null, null, new ListReader<T>(kind, each).ReadAsync, stop);

    /// <summary>All pages.</summary>
    /// <param name="onPage">Called when one has arrived, and another one is asked for.</param>
    public async Task<IReadOnlyList<T>> ListAllAsync<T>(ResourceKind kind, string? ns, ListOptions options, CancellationToken stop, Action? onPage = null)
        where T : class
    {
        var items = new List<T>();
        var page = await ListAsync<T>(kind, ns, options with { Limit = options.Limit ?? 500 }, stop);
        items.AddRange(page.Items);
        while (page.Continue.Length > 0)
        {
            onPage?.Invoke();
            page = await ListAsync<T>(kind, ns, options with { Limit = options.Limit ?? 500, Continue = page.Continue }, stop);
            items.AddRange(page.Items);
        }
        return items;
    }

    /// <summary>Events since <see cref="ListOptions.ResourceVersion"/>, until the server ends the stream. 410 is a <see
    /// cref="KubeException"/>.</summary>
    /// <param name="onOpen">Called when the server has accepted the watch: the first event may take long.</param>
    public async IAsyncEnumerable<WatchEvent<T>> WatchAsync<T>(
        ResourceKind kind, string? ns, ListOptions options, [EnumeratorCancellation] CancellationToken stop, Action? onOpen = null) where T : class
    {
        using var request = await RequestAsync(HttpMethod.Get, kind.Path(ns) + Query(options, watch: true), stop);
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        await ThrowIfFailedAsync(response, request, stop);
        onOpen?.Invoke();
        await using var body = await response.Content.ReadAsStreamAsync(stop);
        await foreach (var line in LineReader.ReadAsync(body, stop))
        {
            if (WatchReader.Read<T>(line.Span) is { } read) yield return read;
        }
    }

    /// <summary>Creates the object in the namespace that it names.</summary>
    public Task<JsonObject> CreateAsync(ResourceKind kind, JsonObject value, CancellationToken stop) =>
        CreateAsync(kind, NamespaceOf(value), value, stop);

    public async Task<JsonObject> CreateAsync(
        ResourceKind kind, string? ns, JsonObject value, CancellationToken stop, string? name = null, string? subresource = null) =>
        Parse<JsonObject>(await SendAsync(HttpMethod.Post, kind.Path(ns, name, subresource) + WriteQuery(), value, "application/json", stop));

    public async Task<JsonObject> ReplaceAsync(ResourceKind kind, JsonObject value, CancellationToken stop, string? subresource = null) =>
        Parse<JsonObject>(await SendAsync(
            HttpMethod.Put, kind.Path(NamespaceOf(value), NameOf(value), subresource) + WriteQuery(), value, "application/json", stop));

    public async Task<JsonObject> PatchAsync(
        ResourceKind kind, string? ns, string name, JsonNode patch, PatchType type, CancellationToken stop, string? subresource = null)
    {
        var contentType = type switch
        {
            PatchType.Json => "application/json-patch+json",
            PatchType.Merge => "application/merge-patch+json",
            PatchType.Strategic => "application/strategic-merge-patch+json",
            _ => "application/apply-patch+yaml",
        };
        return Parse<JsonObject>(await SendAsync(HttpMethod.Patch, kind.Path(ns, name, subresource) + WriteQuery(), patch, contentType, stop));
    }

    /// <summary>
    /// Creates the object, or merges it into the existing one so that every field given here applies (JSON merge patch,
    /// which replaces lists).
    /// </summary>
    public async Task<JsonObject> ApplyAsync(ResourceKind kind, JsonObject value, CancellationToken stop)
    {
        var (ns, name) = (NamespaceOf(value), NameOf(value));
        if (await FindAsync(kind, ns, name, stop) is null)
        {
            try { return await CreateAsync(kind, ns, value, stop); }
            catch (KubeException e) when (e.IsAlreadyExists) { /* somebody was faster: merge */ }
        }
        return await PatchAsync(kind, ns, name, value, PatchType.Merge, stop);
    }

    /// <summary>Server-side apply: the fields given here are the manager's, whoever had them; those that it had before and that are missing here, go.</summary>
    /// <param name="kind">The kind.</param>
    /// <param name="value">The fields, with the name of the object.</param>
    /// <param name="manager">Whose fields they are.</param>
    /// <param name="stop">Ends it.</param>
    public async Task<JsonObject> TakeFieldsAsync(ResourceKind kind, JsonObject value, string manager, CancellationToken stop) =>
        Parse<JsonObject>(await SendAsync(
            HttpMethod.Patch, $"{kind.Path(NamespaceOf(value), NameOf(value))}?force=true&fieldManager={Uri.EscapeDataString(manager)}", value,
            "application/apply-patch+yaml", stop));

    /// <summary>False when the object did not exist.</summary>
    public async Task<bool> DeleteAsync(
        ResourceKind kind, string? ns, string name, CancellationToken stop, int? gracePeriodSeconds = null, string propagation = "Background",
        string? uid = null)
    {
        var options = new JsonObject { ["kind"] = "DeleteOptions", ["apiVersion"] = "v1", ["propagationPolicy"] = propagation };
        if (gracePeriodSeconds is { } grace) options["gracePeriodSeconds"] = grace;
        if (uid is not null) options["preconditions"] = new JsonObject { ["uid"] = uid };
        try
        {
            await SendAsync(HttpMethod.Delete, kind.Path(ns, name), options, "application/json", stop);
            return true;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    /// <summary>Any other request, for example <c>/version</c>. Returns the body of the response.</summary>
    public Task<byte[]> RawAsync(HttpMethod method, string path, JsonNode? body, CancellationToken stop) =>
        SendAsync(method, path, body, body is null ? null : "application/json", stop);

    /// <summary>Any GET whose answer may be too large to keep: <paramref name="read"/> reads it while it arrives.</summary>
    public Task<TResult> ReadAsync<TResult>(string path, Func<Stream, CancellationToken, Task<TResult>> read, CancellationToken stop) =>
        SendAsync(HttpMethod.Get, path, null, null, read, stop);

    private Task<byte[]> SendAsync(HttpMethod method, string path, JsonNode? body, string? contentType, CancellationToken stop) =>
        SendAsync(method, path, body, contentType, async (response, limit) =>
        {
            using var copy = new MemoryStream();
            await response.CopyToAsync(copy, limit);
            return copy.ToArray();
        }, stop);

    /// <param name="read">Reads the body of the response.</param>
    private async Task<TResult> SendAsync<TResult>(
        HttpMethod method, string path, JsonNode? body, string? contentType, Func<Stream, CancellationToken, Task<TResult>> read, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(RequestTimeout);
        var end = Environment.TickCount64 + (long)RequestTimeout.TotalMilliseconds;
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                using var request = await RequestAsync(method, path, stop);
                if (body is not null)
                {
                    request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body.ToJsonString()));
                    request.Content.Headers.ContentType = new MediaTypeHeaderValue(contentType!);
                }
                using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
                // A busy server has done nothing (API Priority and Fairness), and says when to come again.
                if (response is { StatusCode: HttpStatusCode.TooManyRequests, Headers.RetryAfter.Delta: { } pause } && attempt < MostAttempts
                    && pause.TotalMilliseconds < end - Environment.TickCount64)
                {
                    await Task.Delay(pause, limit.Token);
                    continue;
                }
                await ThrowIfFailedAsync(response, request, limit.Token);
                await using var content = await response.Content.ReadAsStreamAsync(limit.Token);
                return await read(content, limit.Token);
            }
        }
        catch (IOException e)
        {
            throw new HttpRequestException($"{Access.Server} broke off its answer to {method} {path}: {e.Message}", e);
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new HttpRequestException($"{Access.Server} did not answer within {RequestTimeout.TotalSeconds:0} s ({method} {path})", e);
        }
    }

    private async ValueTask<HttpRequestMessage> RequestAsync(HttpMethod method, string path, CancellationToken stop)
    {
        // A relative URI keeps a path prefix in the server address (API servers behind a proxy have one).
        var prefix = Access.Server.AbsolutePath.TrimEnd('/');
        var request = new HttpRequestMessage(method, prefix + path)
        {
            Version = _http.DefaultRequestVersion,
            VersionPolicy = _http.DefaultVersionPolicy,
        };
        request.Headers.Accept.ParseAdd("application/json");
        // The runtime checks the certificate against the name in this header, and ignores the name in the TLS options.
        if (Access.TlsServerName is { Length: > 0 } name) request.Headers.Host = name;
        var token = await TokenAsync(stop);
        if (token is null && Access.Exec is { } exec) token = await ExecCredentials.TokenAsync(exec, stop);
        // Kubeconfigs are checked when they are read. Files and programs return a new token with each request.
        if (token is not null && !KubeConfig.IsHeaderText(token))
            throw new HttpRequestException("the token has a line break or another character that cannot be sent");
        if (!string.IsNullOrEmpty(token)) request.Headers.Authorization = new("Bearer", token);
        else if (Access.Username is { } user)
        {
            request.Headers.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{Access.Password}")));
        }
        return request;
    }

    private async ValueTask<string?> TokenAsync(CancellationToken stop)
    {
        if (Access.TokenFile is { } file) return (await File.ReadAllTextAsync(file, stop)).Trim();
        if (Access.TokenKubeconfig is not { } kubeconfig) return Access.Token;
        try
        {
            var text = await File.ReadAllTextAsync(kubeconfig, stop);
            // Kubelets replace mounted files through links, whose times do not help. Only the content shows whether it
            // changed.
            if (_rotated is { } known && known.Kubeconfig == text) return known.Token;
            if (KubeConfig.Parse(text, null, kubeconfig).Token is { } token) _rotated = new(text, token);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ProblemException)
        {
            // A half-written file does not invalidate the current token.
        }
        return _rotated?.Token ?? Access.Token;
    }

    private static async Task ThrowIfFailedAsync(HttpResponseMessage response, HttpRequestMessage request, CancellationToken stop)
    {
        if (response.IsSuccessStatusCode) return;
        // Behind the proxies of an API server, anybody may answer.
        await response.Content.LoadIntoBufferAsync(LongestError, stop);
        var body = await response.Content.ReadAsStringAsync(stop);
        throw KubeException.From(response.StatusCode, body, $"{request.Method} {request.RequestUri}", response.Headers.RetryAfter?.Delta);
    }

    private string WriteQuery() => $"?fieldManager={FieldManager}";

    private static string Query(ListOptions options, bool watch)
    {
        var query = new StringBuilder();
        void Add(string key, string? value)
        {
            if (!string.IsNullOrEmpty(value)) query.Append(query.Length == 0 ? '?' : '&').Append(key).Append('=').Append(Uri.EscapeDataString(value));
        }
        Add("labelSelector", options.LabelSelector);
        Add("fieldSelector", options.FieldSelector);
        Add("resourceVersion", options.ResourceVersion);
        Add("limit", options.Limit?.ToString());
        Add("continue", options.Continue);
        Add("timeoutSeconds", options.TimeoutSeconds?.ToString());
        if (!watch) return query.ToString();
        Add("watch", "true");
        Add("allowWatchBookmarks", "true");
        return query.ToString();
    }

    private static T Parse<T>(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, KubeJson.Of<T>()) ?? throw new InvalidDataException("The API server answered null.");

    private static string NameOf(JsonObject value) =>
        (string?)value["metadata"]?["name"] ?? throw new ArgumentException("The object has no metadata.name.", nameof(value));

    private static string? NamespaceOf(JsonObject value) => (string?)value["metadata"]?["namespace"];
}
